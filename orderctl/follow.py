"""Watching a task or an order until it ends: what the database says, then what the channels tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from orderctl import channels, clock, database, orders, tasks
from orderctl.channels import Channel, Scope
from orderctl.errors import TimedOut
from orderctl.messages import Data
from orderctl.states import ENDED_ORDER, ENDED_TASK
from orderctl.subscription import Message, Reconnecting, Subscribed, SubscriptionEvent, subscribe
from orderctl.tasks import Task

#: How often the database is asked, at least, whether the subject has ended; others write into it, too.
_ASK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Subject:
    """What is watched: an order with its tasks, or one task.

    Attributes:
        channels: To listen to.
        labels: What people call the order and its tasks.
    """

    scope: Scope
    id: int
    channels: tuple[Channel, ...]
    labels: Mapping[tuple[Scope, int], str]


@dataclass(frozen=True, slots=True)
class Update:
    """A message; ``snapshot`` when it was sent before we listened."""

    channel: Channel
    data: Data
    snapshot: bool


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to know about the watching itself."""

    text: str


@dataclass(frozen=True, slots=True)
class End:
    """The subject has ended, says the database."""

    scope: Scope
    id: int
    status: str
    detail: str | None = None


@dataclass(slots=True)
class Patience:
    """How long to wait, in seconds; None for ever.

    Attributes:
        total: For the end.
        silence: Between two messages.
    """

    total: float | None = None
    silence: float | None = None
    began: float = 0.0
    heard: float = 0.0

    def start(self) -> None:
        """Begin to wait."""
        self.began = self.heard = clock.elapsed()

    def check(self) -> None:
        """See whether it is at its end.

        Raises:
            TimedOut: When it is.
        """
        now = clock.elapsed()
        if self.total is not None and now - self.began > self.total:
            raise TimedOut(f"still unfinished after {self.total:g} s")
        if self.silence is not None and now - self.heard > self.silence:
            raise TimedOut(f"no message for {self.silence:g} s", hint="orderctl worker list")


def find_task(engine: Engine, task_id: int) -> Subject:
    """The task of that id as a subject.

    Raises:
        TaskNotFound: When there is none.
    """
    with database.reading(engine) as connection:
        task = tasks.find(connection, task_id)
    labels = {(Scope.TASK, task.id): _label(task)}
    return Subject(Scope.TASK, task.id, channels.of_subject(Scope.TASK, task.id), labels)


def find_order(engine: Engine, reference: str) -> Subject:
    """The order of that code or id as a subject.

    Raises:
        OrderNotFound: When there is none.
    """
    with database.reading(engine) as connection:
        order = orders.find(connection, reference)
        own = tasks.of_orders(connection, [order.id])
    heard = list(channels.of_subject(Scope.ORDER, order.id))
    for task in own:
        heard += channels.of_subject(Scope.TASK, task.id)
    labels = {(Scope.ORDER, order.id): order.order_code} | {
        (Scope.TASK, task.id): _label(task) for task in own
    }
    return Subject(Scope.ORDER, order.id, tuple(heard), labels)


def _label(task: Task) -> str:
    return f"task {task.id} {task.title or ''}".strip()


def watch(engine: Engine, url: str, subject: Subject, patience: Patience) -> Iterator[Update | Remark | End]:
    """Watch a subject until it ends.

    The database is asked first, then again once the subscription stands (what ended in between was never
    published to us), and from time to time after that.

    Args:
        engine: The database.
        url: Of Redis; asked for only when the subject has not ended.
        subject: From :func:`find_task` or :func:`find_order`.
        patience: How long to wait.

    Yields:
        What happens, :class:`End` last.

    Raises:
        TimedOut: When the patience is at its end.
        RedisUnavailable: When Redis does not answer at first.
    """
    patience.start()
    ended = _find_end(engine, subject)
    if ended is None:
        yield from _listen(engine, url, subject, patience)
        ended = _find_end(engine, subject)
    if ended is not None:
        yield ended


def _listen(engine: Engine, url: str, subject: Subject, patience: Patience) -> Iterator[Update | Remark]:
    asked = clock.elapsed()
    for event in subscribe(url, subject.channels, tick=0.5):
        yield from _told(event, patience)
        if _may_have_ended(event, subject) or clock.elapsed() - asked > _ASK_SECONDS:
            asked = clock.elapsed()
            if _find_end(engine, subject) is not None:
                return


def watch_patterns(url: str, patterns: Sequence[str], patience: Patience) -> Iterator[Update | Remark]:
    """Watch all channels of these patterns, until the caller has had enough.

    Raises:
        TimedOut: When the patience is at its end.
        RedisUnavailable: When Redis does not answer at first.
    """
    patience.start()
    for event in subscribe(url, (), patterns, tick=0.5):
        yield from _told(event, patience)


def in_words(channel: Channel, data: Data) -> str:
    """A message as text, for kinds that are not drawn in a way of their own: ``note: text=Hello``."""
    known = {channels.id_name(channel.scope), "timestamp"}
    fields = (f"{name}={value}" for name, value in data.items() if name not in known and value is not None)
    return f"{channel.kind}: {', '.join(fields)}"


def _told(event: SubscriptionEvent, patience: Patience) -> Iterator[Update | Remark]:
    match event:
        case Message():
            patience.heard = clock.elapsed()
            yield Update(event.channel, event.data, event.snapshot)
        case Reconnecting():
            yield Remark(f"connection lost, trying again: {event.error}")
        case Subscribed(again=True):
            yield Remark("connected again; messages may have been missed, the newest of each channel follows")
        case _:
            pass
    patience.check()


def _may_have_ended(event: SubscriptionEvent, subject: Subject) -> bool:
    if isinstance(event, Subscribed):
        return True
    if not isinstance(event, Message) or (event.channel.scope, event.channel.id) != (
        subject.scope,
        subject.id,
    ):
        return False
    return event.channel.kind is channels.MessageKind.COMPLETE or event.data.get("newStatus") in {
        *ENDED_ORDER,
        *ENDED_TASK,
    }


def _find_end(engine: Engine, subject: Subject) -> End | None:
    with database.reading(engine) as connection:
        if subject.scope is Scope.TASK:
            task = tasks.find(connection, subject.id)
            detail = task.error_log or task.drive_link
            return End(subject.scope, task.id, task.status, detail) if task.status in ENDED_TASK else None
        order = orders.get(connection, subject.id)
    detail = f"{order.completed_tasks} of {order.total_tasks} tasks completed"
    return (
        End(subject.scope, order.id, order.order_status, detail)
        if order.order_status in ENDED_ORDER
        else None
    )
