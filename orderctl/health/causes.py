"""Why an installation that runs is not well, each with the command that helps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from orderctl import crews, relay_signs
from orderctl.counting import counted
from orderctl.errors import ExitStatus, NotMigrated, OrderctlError
from orderctl.health import redis_causes
from orderctl.health.overview import MOST, Numbers, Overview, Queue
from orderctl.health.signs import Role, State, Store, StoreSign
from orderctl.payments import waiting
from orderctl.waits import Cause

#: A task that is due for so long is a cause, although workers take tasks.
LONGEST_WAIT: Final = timedelta(hours=1)
#: A message that is due for so long is a cause: couriers look each second.
LONGEST_DELAY: Final = timedelta(minutes=5)
#: So many failed tasks of the last hour are a cause.
MOST_FAILED: Final = 10


@dataclass(frozen=True, slots=True)
class Trouble:
    """A cause.

    Attributes:
        name: A stable word for programs.
        text: What is wrong, for people.
        command: The command that repairs it, or that shows more.
        explanation: Who can repair it, and how, where no command can; None: the command says enough.
    """

    name: str
    text: str
    command: str | None
    explanation: str | None = None

    @property
    def line(self) -> str:
        """The cause and the command on one line."""
        return f"{self.text}: {self.command}" if self.command else self.text

    @property
    def record(self) -> dict[str, Any]:
        """The cause as it stands in JSON."""
        return {
            "name": self.name,
            "text": self.text,
            "command": self.command,
            "explanation": self.explanation,
        }


def find(seen: Overview) -> list[Trouble]:
    """Return why an installation is not well, the gravest first; nothing if it is well.

    Args:
        seen: The installation.
    """
    found = [*_of_stores(seen), *_of_migration(seen.stores.database)]
    if seen.lost_relays:
        text = relay_signs.said_of_lost(len(seen.lost_relays))
        found.append(Trouble("relay-lost", text, "orderctl relay start"))
    if seen.queue is not None:
        found += _of_queue(seen.queue)
    if seen.numbers is not None:
        found += [*_of_failures(seen.numbers), *_of_messages(seen.numbers), *_of_payments(seen.numbers)]
    return found


def exit_status(seen: Overview, found: Sequence[Trouble]) -> ExitStatus:
    """Return the exit code: 69 when a store is down, 78 when a setting is wrong or the database is not migrated.

    Args:
        seen: The installation.
        found: Its causes.
    """
    if any(sign.state is State.DOWN for sign in seen.stores):
        return ExitStatus.UNAVAILABLE
    migration = seen.stores.database.migration
    if any(sign.state is State.REFUSED for sign in seen.stores) or (migration and not migration.is_current):
        return ExitStatus.CONFIGURATION
    return ExitStatus.FAILED if found else ExitStatus.DONE


def _of_stores(seen: Overview) -> Iterator[Trouble]:
    for sign in seen.stores:
        if isinstance(sign.error, NotMigrated):
            yield Trouble("not-migrated", str(sign.error).partition("; orderctl")[0], sign.error.hint)
        elif sign.error is not None:
            # A command follows it on its line, so it has no full stop.
            yield Trouble(_named(sign, sign.error), str(sign.error).rstrip("."), sign.error.hint)
        elif sign.role in {Role.READ_ONLY, Role.REPLICA}:
            what = "a replica" if sign.role is Role.REPLICA else "read-only"
            text = f"the {sign.store} server is {what}: nothing can be written"
            yield Trouble(f"{sign.store}-read-only", text, "orderctl config show")
        elif sign.refusal is not None:
            found = redis_causes.of(sign.refusal)
            text = str(sign.refusal).rstrip(".")
            yield Trouble(found.name, text, found.repair or "orderctl doctor --only redis", found.explanation)


def _named(sign: StoreSign, error: OrderctlError) -> str:
    """Return the name of a cause; a Redis that cannot save refuses everything, and so seems to be down."""
    if sign.store is Store.REDIS and (found := redis_causes.of(error).name) == "redis-disk-full":
        return found
    return f"{sign.store}-{sign.state}"


def _of_migration(sign: StoreSign) -> Iterator[Trouble]:
    migration = sign.migration
    if migration is None or migration.is_current or sign.error is not None:
        return
    if migration.is_newer:
        text = f"a newer orderctl has migrated the database (revision {migration.applied})"
        yield Trouble("newer-database", text, "orderctl --version")
    else:
        pending = counted(len(migration.pending), "revision")
        text = f"{pending} of the database {'is' if len(migration.pending) == 1 else 'are'} pending"
        yield Trouble("not-migrated", text, "orderctl migrate up")


def _of_queue(queue: Queue) -> Iterator[Trouble]:
    known = queue.reason is not None and queue.reason.cause is not Cause.UNKNOWN  # Redis has its own cause
    if queue.waiting and queue.reason is not None and known:
        tasks = _tasks(queue.waiting)
        yield Trouble("tasks-wait", f"{tasks}: {queue.reason.text}", queue.reason.hint)
    elif queue.paused and queue.reason is not None:
        yield Trouble("paused", queue.reason.text, queue.reason.hint)
    elif queue.frozen:
        waits = f"; {_tasks(queue.waiting)}" if queue.waiting else ""
        yield Trouble("workers-frozen", f"{crews.FROZEN}{waits}", "orderctl worker start")
    elif queue.waited is not None and queue.waited > LONGEST_WAIT:
        hours = int(queue.waited / timedelta(hours=1))
        text = f"{_tasks(queue.waiting)} for a worker, the oldest for {counted(hours, 'hour')}"
        yield Trouble("behind", text, "orderctl worker list")


def _tasks(number: int) -> str:
    more = "more than " if number > MOST else ""
    return f"{more}{counted(min(number, MOST), 'task')} {'waits' if number == 1 else 'wait'}"


def _of_failures(numbers: Numbers) -> Iterator[Trouble]:
    failed = numbers.failures.failed
    if (total := sum(failed.values())) >= MOST_FAILED:
        most = next(iter(failed))
        plus = "+" if numbers.failures.at_least else ""
        text = f"{total}{plus} tasks have failed in the last hour, most of them with {most}"
        yield Trouble("failures", text, "orderctl tasks list --failed --group-by error")


def _of_messages(numbers: Numbers) -> Iterator[Trouble]:
    found = numbers.messages
    if found.given_up:
        more = "more than " if found.given_up > MOST else ""
        was = "was" if found.given_up == 1 else "were"
        text = f"{more}{counted(min(found.given_up, MOST), 'message')} {was} given up"
        yield Trouble("messages-given-up", text, "orderctl outbox list --failed")
    if found.since is not None and numbers.now - found.since > LONGEST_DELAY:
        minutes = int((numbers.now - found.since) / timedelta(minutes=1))
        text = f"a message has been due for {counted(minutes, 'minute')}"
        yield Trouble("messages-late", text, "orderctl outbox list --waiting")


def _of_payments(numbers: Numbers) -> Iterator[Trouble]:
    if total := sum(numbers.payments.values()):
        verb = "waits" if total == 1 else "wait"
        text = f"{waiting.shown(total)} {'payment' if total == 1 else 'payments'} {verb} for a decision"
        yield Trouble("payments-wait", text, "orderctl payments list --open")
