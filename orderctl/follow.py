"""Watch orders and tasks: their state in the database, then the messages on their channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from orderctl import clock, database, subjects
from orderctl.channels import MessageKind
from orderctl.errors import RedisUnavailable, TimedOut, Unavailable
from orderctl.inquiries import Inquiry
from orderctl.looking import Looking, Lookout
from orderctl.names import Names
from orderctl.news import News
from orderctl.states import ENDED_ORDER, ENDED_TASK
from orderctl.subjects import Subject
from orderctl.subscription import Message, Reconnecting, Subscribed, SubscriptionEvent, subscribe
from orderctl.watched import End, Found, Happened, Key, Remark, Update, Waiting, Watched

#: Maximum time between two looks into the database, in seconds: other programs may end a subject without a message.
_ASK_SECONDS = 5.0
#: Time between two questions why a subject waits, in seconds.
_WHY_SECONDS = 2.0
#: Time without progress after which it is asked why, in seconds; progress comes more often.
_STILL_SECONDS = 8.0
#: Longest time without an event of the subscription, in seconds: answers of the background are shown this late.
_TICK_SECONDS = 0.2


#: Returns what these subjects wait for; a subject that does not wait is left out. It may raise OrderctlError.
Why = Callable[[Sequence[Subject]], Sequence[Waiting]]


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


def watch(
    engine: Engine,
    url: Callable[[], str],
    watched: Sequence[Subject],
    patience: Patience,
    *,
    why: Why | None = None,
    events: bool = False,
    fail_fast: bool = False,
) -> Iterator[Watched]:
    """Watch subjects until all have ended.

    The database is asked first, again after the subscription (the messages of an end in between are missed),
    and then from time to time.

    Args:
        engine: The engine of the database.
        url: Returns the URL of Redis; called only if a subject has not ended.
        watched: Subjects from ``subjects``.
        patience: The limits of waiting.
        why: Says what subjects wait for; it is called in a thread of its own.
        events: Whether to look for new events of the audit log.
        fail_fast: Whether to stop as soon as one subject has failed or was cancelled.

    Yields:
        What is known and what happens; an :class:`End` for each subject.

    Raises:
        TimedOut: A limit of ``patience`` is exceeded.
        RedisUnavailable: Redis does not answer when the watching starts.
    """
    patience.start()
    watching = _Watching(engine, watched, why, events=events)
    for happened in watching.run(url, patience):
        yield happened
        if fail_fast and isinstance(happened, End) and happened.is_failure:
            return


class _Watching:
    """Subjects of which some have not ended yet."""

    def __init__(self, engine: Engine, watched: Sequence[Subject], why: Why | None, *, events: bool) -> None:
        self._engine = engine
        self._open = {subject.key: subject for subject in watched}
        self._subject_of = {
            (channel.scope, channel.id): subject.key for subject in watched for channel in subject.channels
        }
        self._stirred: dict[Key, float] = {}  # when progress of a subject came last
        self._waits: dict[Key | None, Waiting] = {}
        self._reasons = None if why is None else Inquiry(lambda: why(self._still()), _WHY_SECONDS)
        self._news = News(engine, watched) if events else None
        standings = [one for subject in watched for one in subject.standings]
        self._names = Names(engine, subjects.name_tasks, {one.key for one in standings if not one.titled})
        self._asked = clock.elapsed()
        self._is_away = False

    def run(self, url: Callable[[], str], patience: Patience) -> Iterator[Watched]:
        yield Found(tuple(one for subject in self._open.values() for one in subject.standings), first=True)
        yield from self._ends()
        if not self._open:
            return
        if self._news:
            self._news.begin()
        yield from self._answers()
        listened = [channel for subject in self._open.values() for channel in subject.channels]
        for event in subscribe(url(), listened, tick=_TICK_SECONDS):
            yield from self._moved(event)
            if isinstance(event, Message):
                self._names.note(event)
            yield from _updates(event, patience)
            if self._may_have_ended(event) or clock.elapsed() - self._asked > _ASK_SECONDS:
                yield from self._look()
            yield from self._answers()
            if not self._open:
                break
        if self._news:
            yield from map(Happened, self._news.last())

    def _look(self) -> Iterator[Watched]:
        """Yield what has ended; while the database does not answer, say so once."""
        self._asked = clock.elapsed()
        try:
            yield from self._ends()
        except Unavailable as error:
            if not self._is_away:
                yield Remark(f"{error}; trying again")
            self._is_away = True
        else:
            self._is_away = False

    def _ends(self) -> Iterator[End]:
        with database.reading(self._engine) as connection:
            ended = [end for one in self._open.values() if (end := subjects.find_end(connection, one))]
        for end in ended:
            del self._open[end.scope, end.id]
            yield end

    def _answers(self) -> Iterator[Watched]:
        if self._news:
            yield from map(Happened, self._news.poll())
        if (named := self._names.poll()) is not None:
            yield named
        found = self._reasons.poll() if self._reasons else None
        if found is not None:
            fresh: dict[Key | None, Waiting] = {one.key: one for one in found if one.key in self._open}
            over = [key for key in self._waits if key not in fresh]
            yield from (one for key, one in fresh.items() if self._waits.get(key) != one)
            yield from (Waiting(key, "", "") for key in over)
            self._waits = fresh

    def _still(self) -> list[Subject]:
        """Return the subjects without progress for a while."""
        since = clock.elapsed() - _STILL_SECONDS
        return [one for key, one in list(self._open.items()) if self._stirred.get(key, since) <= since]

    def _moved(self, event: SubscriptionEvent) -> Iterator[Waiting]:
        """Note that there is progress, so that the subject waits no longer."""
        if not isinstance(event, Message) or event.snapshot or event.channel.kind is not MessageKind.PROGRESS:
            return
        key = self._subject_of.get((event.channel.scope, event.channel.id))
        if key is not None:
            self._stirred[key] = clock.elapsed()
            if self._waits.pop(key, None):
                yield Waiting(key, "", "")

    def _may_have_ended(self, event: SubscriptionEvent) -> bool:
        if isinstance(event, Subscribed):
            return True
        if not isinstance(event, Message) or (event.channel.scope, event.channel.id) not in self._open:
            return False
        return event.channel.kind is MessageKind.COMPLETE or event.data.get("newStatus") in {
            *ENDED_ORDER,
            *ENDED_TASK,
        }


def watch_patterns(
    engine: Engine,
    url: Callable[[], str],
    patterns: Sequence[str],
    patience: Patience,
    *,
    begin: bool = False,
    history: bool = False,
    why: Why | None = None,
) -> Iterator[Watched]:
    """Watch all channels that match these patterns, until the caller closes the iterator.

    Args:
        engine: The database. It need not answer, but what it answers has to be orderctl's tables.
        url: Returns the URL of Redis.
        patterns: Glob patterns of channels.
        patience: The limits of waiting.
        begin: Whether to begin with what is running, and to look for names and for what has stopped.
        history: Whether to begin with the last message of each channel of the last hour.
        why: Says what everything waits for while nothing runs; called without subjects.

    Yields:
        The messages; a remark if another shop is heard.

    Raises:
        Misconfigured: There is no database, or it is not migrated.
        TimedOut: A limit of ``patience`` is exceeded.
        RedisUnavailable: Redis does not answer when the watching starts.
    """
    patience.start()
    looking = Looking(engine, patterns)
    stillness = _Stillness(why) if why else None
    yield from looking.begin()
    kept = None if history else (looking.channels if begin else [])
    lookout = Lookout(engine)
    for event in subscribe(url(), (), patterns, kept=kept, tick=_TICK_SECONDS):
        yield from _updates(event, patience)
        yield from lookout.see(event)
        if begin:
            yield from looking.see(event)
        if stillness:
            yield from stillness.see(event)


class _Stillness:
    """Asks in the background why nothing runs, while there is no progress."""

    def __init__(self, why: Why) -> None:
        self._reasons = Inquiry(lambda: why(()), _WHY_SECONDS)
        self._waits: Sequence[Waiting] = ()
        self._stirred = clock.elapsed() - _STILL_SECONDS

    def see(self, event: SubscriptionEvent) -> Iterator[Waiting]:
        """Note progress, and yield what is waited for when this has changed."""
        if isinstance(event, Message) and event.channel.kind is MessageKind.PROGRESS and not event.snapshot:
            self._stirred = clock.elapsed()
        is_still = clock.elapsed() - self._stirred >= _STILL_SECONDS
        waits: Sequence[Waiting] | None = self._reasons.poll() if is_still else ()
        if waits is not None and waits != self._waits:
            yield from waits or [Waiting(None, "", "")]
            self._waits = waits


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
