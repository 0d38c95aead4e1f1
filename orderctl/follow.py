"""Watch a task or an order until it ends: its state in the database, then the messages on its channels."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from orderctl import channels, clock, database, neighbours, orders, tasks
from orderctl.channels import Channel, Scope
from orderctl.errors import OrderctlError, RedisUnavailable, TimedOut
from orderctl.messages import Data
from orderctl.neighbours import Neighbours
from orderctl.states import ENDED_ORDER, ENDED_TASK
from orderctl.subscription import Message, Reconnecting, Subscribed, SubscriptionEvent, subscribe
from orderctl.tasks import Task

_log = logging.getLogger(__name__)

#: Maximum time between two looks into the database, in seconds: other programs may end the subject without a
#: message.
_ASK_SECONDS = 5.0
#: Time between two looks for messages of another shop, in seconds.
_LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject that is watched: an order with its tasks, or one task.

    Attributes:
        channels: The channels to listen to.
        labels: The names of the order and its tasks for the screen.
    """

    scope: Scope
    id: int
    channels: tuple[Channel, ...]
    labels: Mapping[tuple[Scope, int], str]


@dataclass(frozen=True, slots=True)
class Update:
    """A message; ``snapshot`` is True if it was sent before the subscription."""

    channel: Channel
    data: Data
    snapshot: bool


@dataclass(frozen=True, slots=True)
class Remark:
    """A remark about the subscription itself, such as a lost connection."""

    text: str


@dataclass(frozen=True, slots=True)
class End:
    """The end of the subject, as the database has it."""

    scope: Scope
    id: int
    status: str
    detail: str | None = None


@dataclass(slots=True)
class Patience:
    """The limits of waiting, in seconds; None: no limit.

    Attributes:
        total: The maximum time until the end.
        idle: The maximum time between two messages.
    """

    total: float | None = None
    idle: float | None = None
    began: float = 0.0
    last_message: float = 0.0

    def start(self) -> None:
        """Start the clock of both limits."""
        self.began = self.last_message = clock.elapsed()

    def check(self) -> None:
        """Check the limits.

        Raises:
            TimedOut: A limit is exceeded.
        """
        now = clock.elapsed()
        if self.total is not None and now - self.began > self.total:
            raise TimedOut(f"still unfinished after {self.total:g} s")
        if self.idle is not None and now - self.last_message > self.idle:
            raise TimedOut(f"no message for {self.idle:g} s", hint="orderctl worker list")


def find_task(engine: Engine, task_id: int) -> Subject:
    """Return the task with this id as a subject.

    Raises:
        TaskNotFound: The task does not exist.
    """
    with database.reading(engine) as connection:
        task = tasks.find(connection, task_id)
    labels = {(Scope.TASK, task.id): _label(task)}
    return Subject(Scope.TASK, task.id, channels.of_subject(Scope.TASK, task.id), labels)


def find_order(engine: Engine, reference: str) -> Subject:
    """Return the order with this code or id as a subject.

    Raises:
        OrderNotFound: The order does not exist.
    """
    with database.reading(engine) as connection:
        order = orders.find(connection, reference)
        own = tasks.of_orders(connection, [order.id])
    listened = list(channels.of_subject(Scope.ORDER, order.id))
    for task in own:
        listened += channels.of_subject(Scope.TASK, task.id)
    labels = {(Scope.ORDER, order.id): order.order_code} | {
        (Scope.TASK, task.id): _label(task) for task in own
    }
    return Subject(Scope.ORDER, order.id, tuple(listened), labels)


def _label(task: Task) -> str:
    return f"task {task.id} {task.title or ''}".strip()


def watch(engine: Engine, url: str, subject: Subject, patience: Patience) -> Iterator[Update | Remark | End]:
    """Watch a subject until it ends.

    The database is asked first, again after the subscription (the messages of an end in between are missed),
    and then from time to time.

    Args:
        engine: The engine of the database.
        url: The URL of Redis; used only if the subject has not ended.
        subject: A subject from :func:`find_task` or :func:`find_order`.
        patience: The limits of waiting.

    Yields:
        The messages and remarks; :class:`End` last.

    Raises:
        TimedOut: A limit of ``patience`` is exceeded.
        RedisUnavailable: Redis does not answer when the watching starts.
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
        yield from _updates(event, patience)
        if _may_have_ended(event, subject) or clock.elapsed() - asked > _ASK_SECONDS:
            asked = clock.elapsed()
            if _find_end(engine, subject) is not None:
                return


def watch_patterns(
    engine: Engine, url: str, patterns: Sequence[str], patience: Patience
) -> Iterator[Update | Remark]:
    """Watch all channels that match these patterns, until the caller closes the iterator.

    Args:
        engine: The database, which is only asked whether it has the orders and tasks. It need not answer.
        url: The URL of Redis.
        patterns: Glob patterns of channels.
        patience: The limits of waiting.

    Yields:
        The messages; a remark if another shop is heard.

    Raises:
        TimedOut: A limit of ``patience`` is exceeded.
        RedisUnavailable: Redis does not answer when the watching starts.
    """
    patience.start()
    lookout = _Lookout(engine)
    for event in subscribe(url, (), patterns, tick=0.5):
        yield from _updates(event, patience)
        yield from lookout.see(event)


class _Lookout:
    """Looks in the background for messages of another shop, and remarks on them once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._heard = Neighbours()
        self._found: list[neighbours.Subject] = []
        self._thread: threading.Thread | None = None
        self._looked = clock.elapsed()
        self._over = False

    def see(self, event: SubscriptionEvent) -> Iterator[Remark]:
        if isinstance(event, Message):
            self._heard.note(event.channel.scope, event.channel.id)
        if self._over:
            return
        if self._found:
            self._over = True
            yield Remark(neighbours.warning(self._found))
        elif clock.elapsed() - self._looked > _LOOK_SECONDS and (
            self._thread is None or not self._thread.is_alive()
        ):
            self._looked = clock.elapsed()
            self._thread = threading.Thread(target=self._look, name="lookout", daemon=True)
            self._thread.start()

    def _look(self) -> None:
        try:
            with database.reading(self._engine) as connection:
                self._found = self._heard.look(connection)
        except OrderctlError as error:  # the messages are shown without a database, too
            _log.debug("cannot look for messages of another shop: %s", error)


def in_words(channel: Channel, data: Data) -> str:
    """Return a message as text, for kinds that have no display of their own: ``note: text=Hello``."""
    known = {channels.id_name(channel.scope), "timestamp"}
    fields = (f"{name}={value}" for name, value in data.items() if name not in known and value is not None)
    return f"{channel.kind}: {', '.join(fields)}".removesuffix(": ")


def _updates(event: SubscriptionEvent, patience: Patience) -> Iterator[Update | Remark]:
    match event:
        case Message():
            patience.last_message = clock.elapsed()
            yield Update(event.channel, event.data, event.snapshot)
        case Reconnecting():
            lost = isinstance(event.error, RedisUnavailable)
            yield Remark(f"{'connection lost' if lost else 'refused'}, trying again: {event.error}")
        case Subscribed(again=True):
            yield Remark("connected again; messages may have been missed; the newest of each channel follows")
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
