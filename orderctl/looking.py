"""What is looked for in the background while all channels are watched: what runs, names, and another shop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Engine

from orderctl import channels, database, neighbours, subjects
from orderctl.channels import Channel, Scope
from orderctl.errors import Misconfigured, OrderctlError
from orderctl.inquiries import Inquiry
from orderctl.names import Names
from orderctl.neighbours import Neighbours
from orderctl.subscription import Message, SubscriptionEvent
from orderctl.watched import Found, Remark, Standing

#: Time between two looks for what runs, in seconds.
_RUNNING_SECONDS = 5.0
#: Time between two looks for messages of another shop, in seconds.
_LOOK_SECONDS = 2.0


class Looking:
    """Looks in the background for what runs, and for names."""

    def __init__(self, engine: Engine, patterns: Sequence[str]) -> None:
        self._engine = engine
        self._matchers = [channels.matching(pattern) for pattern in patterns]
        self._running = Inquiry(self._find_running, _RUNNING_SECONDS, delay=_RUNNING_SECONDS)
        self._names = Names(engine, subjects.name)
        self.channels: list[Channel] = []

    def begin(self) -> Iterator[Found | Remark]:
        """Yield what runs now, and note the channels of these tasks and their orders.

        Raises:
            Misconfigured: There is no database, or it is not migrated.
        """
        try:
            found = self._find_running()
        except Misconfigured:
            raise
        except OrderctlError as error:
            yield Remark(f"{error}; messages are shown without it")
            return
        self._names.know(found.standings)
        keys = dict.fromkeys(key for one in found.standings for key in (one.key, (Scope.ORDER, one.order_id)))
        listened = [channel for key in keys for channel in channels.of_subject(*key)]
        self.channels = [one for one in listened if any(match.match(str(one)) for match in self._matchers)]
        yield Found(found.standings, first=True)

    def see(self, event: SubscriptionEvent) -> Iterator[Found]:
        """Note of whom a message is, and yield the answers that have come."""
        if isinstance(event, Message):
            self._names.note(event)
        for found in (self._names.poll(), self._running.poll()):
            if found is not None:
                yield found

    def _find_running(self) -> Found:
        with database.reading(self._engine) as connection:
            found = subjects.running(connection)
        if any(
            match.match("order:1:progress") for match in self._matchers
        ):  # every task is a part of an order
            return Found(tuple(found), first=True)
        return Found(tuple(one for one in found if self._is_matched(one)), first=True)

    def _is_matched(self, one: Standing) -> bool:
        own = channels.of_subject(one.scope, one.id)
        return any(match.match(str(channel)) for match in self._matchers for channel in own)


class Lookout:
    """Looks in the background for messages of another shop, and remarks on them once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._heard = Neighbours()
        self._inquiry = Inquiry(self._look, _LOOK_SECONDS, delay=_LOOK_SECONDS)
        self._over = False

    def see(self, event: SubscriptionEvent) -> Iterator[Remark]:
        """Note of whom a message is, and yield the remark when it is due."""
        if isinstance(event, Message):
            self._heard.note(event.channel.scope, event.channel.id)
        found = None if self._over else self._inquiry.poll()
        if found:
            self._over = True
            yield Remark(neighbours.warning(found))

    def _look(self) -> Sequence[neighbours.Subject]:
        with database.reading(self._engine) as connection:
            return self._heard.look(connection)
