"""What the orders of a page wait for, and why one hangs. Redis is asked seldom, whatever the number of clients and keys."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from orderctl import broker, crews, waiting_reasons
from orderctl.errors import OrderctlError
from orderctl.why import inquiry, scene
from orderctl.why.chain import Diagnosis, State, Step

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from orderctl.crews import Sight
    from orderctl.relay.api.queries import Found
    from orderctl.settings import Settings
    from orderctl.waits import Reason
    from orderctl.why.scene import Scene

#: How long an answer is used at least, and how many times as long as it took: the supervisors' signs are looked for
#: among all keys of Redis, which may be those of other programs, too.
_FRESH_SECONDS: Final = 2.0
_REST: Final = 20


#: What another machine, and another account of Redis, would say differently: the cause, and what is said instead.
_ELSEWHERE: Final = {
    "redis-rights": (State.UNKNOWN, "the relay's account may not look at it in Redis"),
    "handler-unknown": (
        State.AHEAD,
        "the relay's machine does not have the handler, which only workers need",
    ),
}


def without_rights(found: Diagnosis) -> Diagnosis:
    """Return what was found; what the relay cannot know, as docs/running.md sets it up, is not said of the workers."""
    return Diagnosis(tuple(_of_workers(step) for step in found.steps))


def _of_workers(step: Step) -> Step:
    if step.cause not in _ELSEWHERE:
        return step
    state, text = _ELSEWHERE[step.cause]
    look = "`orderctl why` in a terminal of the workers' machine looks at it"
    return Step(step.link, state, text, step.cause, explanation=look)


class Outlook:
    """Tells what orders wait for; its methods block.

    Args:
        redis_url: Where the workers are looked for.
        settings: The queue, and which tasks the workers take.
        now: The clock, in seconds.
    """

    def __init__(
        self, redis_url: str, settings: Settings, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis_url = redis_url
        self._settings = settings
        self._now = now
        self._lock = threading.Lock()
        self._known: Sight | None = None
        self._fresh_until = -float("inf")

    def of(self, connection: Connection, found: Found) -> Mapping[int, Reason]:
        """Return, by the order's id, why nothing happens to orders; those to which something happens are left out."""
        its = [task for of_order in found.tasks.values() for task in of_order]
        seen = self._look(connection)
        reasons = waiting_reasons.of_tasks(connection, None, self._settings, its, known=seen)
        return waiting_reasons.summaries(found.orders, found.tasks, reasons)

    def why_order(self, connection: Connection, order_id: int) -> tuple[Scene, Diagnosis]:
        """Return why an order hangs, and what is known of it.

        Raises:
            OrderNotFound: There is no such order.
        """
        return self._diagnose(connection, scene.of_order, order_id)

    def why_task(self, connection: Connection, task_id: int) -> tuple[Scene, Diagnosis]:
        """Return why a task hangs, and what is known of it.

        Raises:
            TaskNotFound: There is no such task.
        """
        return self._diagnose(connection, scene.of_task, task_id)

    def _diagnose(
        self, connection: Connection, find: Callable[..., Scene], subject_id: int
    ) -> tuple[Scene, Diagnosis]:
        seen = self._look(connection)
        with broker.hasty(self._redis_url) as client:
            found = find(connection, client, self._settings, subject_id)
            found.sight = seen  # all else is read by the names of keys
            return found, without_rights(inquiry.of_scene(found))

    def _look(self, connection: Connection) -> Sight:
        with self._lock:
            began = self._now()
            if self._known is None or began >= self._fresh_until:
                self._known = self._ask(connection)
                ended = self._now()
                self._fresh_until = ended + max(_FRESH_SECONDS, _REST * (ended - began))
            return self._known

    def _ask(self, connection: Connection) -> Sight:
        try:
            with broker.hasty(self._redis_url) as client:
                return crews.look(connection, client, self._settings)
        except OrderctlError as error:
            return crews.blind(error)
