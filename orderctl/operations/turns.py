"""What a supervisor does for operations: it leases them, changes their tasks, and looks what has become of these."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Final

import redis
from sqlalchemy import Connection, Engine, Row, Select, bindparam, func, or_, select, update
from sqlalchemy.exc import DBAPIError

from orderctl import clock, database, database_errors, doorbell, faultpoints
from orderctl.errors import (
    DatabaseBusy,
    DatabaseUnavailable,
    LeaseLost,
    Misconfigured,
    OrderctlError,
    RedisUnavailable,
)
from orderctl.operations import making, obstacles, outcomes, retention
from orderctl.operations.carrying import Carried, Held, carry, refuse
from orderctl.operations.obstacles import Obstacles, Place
from orderctl.operations.records import ACTIVE, CHANGING, LEASE_SECONDS, Kind, State
from orderctl.schema import operations

_log = logging.getLogger(__name__)

#: Operations that are carried out at the same time, the oldest ones.
MOST: Final = 50
#: Others that a turn looks at: those whose tasks have all been changed, were stopped, or are being made.
SOME: Final = 20
#: Ids that a transaction may have got and not committed yet.
_LATE: Final = 100
#: How long one turn lasts, in seconds; it ends earlier if nothing is to be done.
TURN_SECONDS: Final = 0.9
#: How often is looked what has become of tasks, in seconds; and of an operation whose tasks have all been changed.
_LOOK_SECONDS: Final = 0.5
_SETTLING_SECONDS: Final = 2.0
#: When what could not be removed is tried again, in seconds.
_CLEAN_SECONDS: Final = 60.0
#: The longest rest within a turn, and the shortest: others need the database, too.
_REST_SECONDS: Final = 0.2
_PAUSE_SECONDS: Final = 0.01
#: When is looked again for operations that ended long ago, in seconds.
_REMOVE_SECONDS: Final = 3600.0
#: Runs of a transaction after a deadlock.
_RERUNS: Final = 3
_ROW: Final = operations.c


class Turns:
    """The operations that this process has leased, and its turns.

    Args:
        engine: The database.
        queue: The RQ queue whose workers are woken.
        over: Returns True when the process is to end.
    """

    def __init__(self, engine: Engine, queue: str, over: Callable[[], bool] = lambda: False) -> None:
        self._engine = engine
        self._queue = queue
        self._over = over
        self._token = str(uuid.uuid4())
        self._paused = False
        self._states: dict[int, str] = {}
        self._carry_at: dict[int, float] = {}
        self._look_at: dict[int, float] = {}
        self._clean_at: dict[int, float] = {}
        self._obstacles: dict[int, Obstacles] = {}
        self._floor = 0  # all operations with lower ids are over
        self._looked_to = 0
        self._removed_to = 0
        self._remove_at = 0.0
        self._removes = True

    def turn(self, client: redis.Redis | None, *, paused: bool = False) -> None:
        """Carry out what is due, and look what has become of tasks, for about a second.

        Args:
            client: A Redis client, to wake workers; None: Redis is away, and a keeper wakes them later.
            paused: Whether the queue is paused: nothing is carried out then.

        Raises:
            DatabaseUnavailable: When the database does not answer. The next turn tries again.
        """
        end = clock.elapsed() + TURN_SECONDS
        self._paused = paused
        self._remove()
        self._states = self._lease()
        known: tuple[dict[int, Any], ...] = (self._carry_at, self._look_at, self._obstacles)
        for of_one in known:  # of those that have ended, or that another process has
            for gone in of_one.keys() - self._states.keys():
                del of_one[gone]
        while self._states and not self._over():
            rests = [self._act(operation_id, client) for operation_id in [*self._states]]
            left = end - clock.elapsed()
            if left <= 0:
                return
            clock.rest(min(left, max(_PAUSE_SECONDS, min(rests))), self._over)

    def _remove(self) -> None:
        """Remove some tasks of operations that ended long ago; without the right to do so they stay."""
        if clock.elapsed() < self._remove_at:
            return
        try:
            work = partial(retention.remove_some, after=self._removed_to)
            after = database.transact(self._engine, work, reruns=1)
        except DatabaseBusy:  # the next turn tries again
            return
        except DatabaseUnavailable:
            raise
        except OrderctlError as error:
            if self._removes:
                _log.warning("tasks of operations that ended long ago are not removed: %s", error)
            self._removes, after = False, None
        self._removed_to = after or 0
        if after is None:
            self._remove_at = clock.elapsed() + _REMOVE_SECONDS

    def release(self) -> None:
        """Give the operations back, so that another supervisor goes on at once."""
        mine = update(operations).where(_ROW.lease_token == self._token, _ROW.id.in_([*self._states]))
        database.transact(self._engine, lambda c: c.execute(mine.values(lease_token=None, lease_until=None)))
        self._states = {}

    def _lease(self) -> dict[int, str]:
        """Lease what is free, and return what this process has, with the states."""
        with database.reading(self._engine) as connection:
            rows = self._active(connection)
        mine: dict[int, str] = {}
        for row in rows:
            is_mine = row.lease_token == self._token
            free = row.lease_token is None or row.lease_until is None or row.lease_until < row.now
            if row.state == State.PREPARING:
                if free and clock.elapsed() >= self._clean_at.get(row.id, 0.0):
                    self._clean(row.id, row.name)
            elif (is_mine or free) and database.transact(self._engine, partial(self._take, row.id)):
                mine[row.id] = row.state
                if not is_mine:
                    if row.state in CHANGING:
                        _log.info("carrying out operation %s", row.name)
                    faultpoints.point("operation.leased")
        return mine

    def _active(self, connection: Connection) -> list[Row[Any]]:
        """Return those that change tasks, the oldest ones, and some of the others, which may be there for a day."""
        end = connection.execute(_NEWEST).scalar() or 0
        if end < self._floor:  # another database, restored from a backup
            self._floor = self._looked_to = 0
        changing = connection.execute(_CHANGING, {"floor": self._floor}).all()
        after = max(self._looked_to, self._floor - 1)
        others = connection.execute(_OTHERS, {"floor": after + 1}).all()
        if len(others) < SOME and after >= self._floor:  # the first ones again
            others = connection.execute(_OTHERS, {"floor": self._floor}).all()
            after = self._floor - 1
        self._looked_to = others[-1].id if len(others) == SOME else 0
        rows = {row.id: row for row in (*changing, *others)}
        if after < self._floor:  # all that are active have been looked at, from the oldest one
            self._floor = max(self._floor, min(rows, default=end - _LATE))
        return [row for _, row in sorted(rows.items())]

    def _take(self, operation_id: int, connection: Connection) -> bool:
        free = or_(
            _ROW.lease_token.is_(None),
            _ROW.lease_token == self._token,
            _ROW.lease_until.is_(None),
            _ROW.lease_until < database.utc_now(),
        )
        chosen = update(operations).where(_ROW.id == operation_id, _ROW.state.in_(ACTIVE), free)
        lease = {"lease_token": self._token, "lease_until": database.utc_now(LEASE_SECONDS)}
        return connection.execute(chosen.values(lease)).rowcount == 1

    def _clean(self, operation_id: int, name: str) -> None:
        """Remove a part of what a process that died before it was ready has left.

        Other operations go on where that fails: where the account lacks DELETE, for example.
        """
        try:
            removed = database.transact(self._engine, partial(making.remove_some, operation_id), reruns=1)
        except DatabaseBusy:  # the next turn tries again
            return
        except DatabaseUnavailable:
            raise
        except OrderctlError as error:
            if operation_id not in self._clean_at:
                _log.warning("operation %s was not made completely, and cannot be removed: %s", name, error)
            self._clean_at[operation_id] = clock.elapsed() + _CLEAN_SECONDS
            return
        if removed:
            self._clean_at.pop(operation_id, None)
            _log.warning("operation %s was not made completely, and is removed", name)

    def _act(self, operation_id: int, client: redis.Redis | None) -> float:
        """Do what is due for one operation; return seconds until the next time."""
        held, now = Held(operation_id, self._token), clock.elapsed()
        due = self._states.get(operation_id) in CHANGING and now >= self._carry_at.get(operation_id, 0.0)
        if due and not self._paused:
            rest = self._guarded(held, lambda: self._carry(held, client))
            self._carry_at[operation_id] = clock.elapsed() + (TURN_SECONDS if rest is None else rest)
        if now >= self._look_at.get(operation_id, 0.0):
            pause = self._guarded(held, lambda: self._look(held))
            self._look_at[operation_id] = clock.elapsed() + (_LOOK_SECONDS if pause is None else pause)
        return min(_REST_SECONDS, self._carry_at.get(operation_id, now + _REST_SECONDS) - clock.elapsed())

    def _guarded(self, held: Held, work: Callable[[], float | None]) -> float | None:
        """Do something for an operation; after a fault, which may be of this one only, the others go on."""
        met = self._obstacles.setdefault(held.id, Obstacles())
        try:
            return work()
        except LeaseLost:
            self._states.pop(held.id, None)
            return None
        except DatabaseBusy:
            return met.meet()
        except DatabaseUnavailable:
            raise
        except OrderctlError as error:  # a missing right, a missing column: its tasks go on waiting
            self._say(held, met, error)
            return met.meet()

    def _say(self, held: Held, met: Obstacles, error: OrderctlError) -> None:
        if met.said != str(error):
            met.said = str(error)
            _log.warning("operation %d waits: %s", held.id, error)

    def _carry(self, held: Held, client: redis.Redis | None) -> float | None:
        """Change the tasks that are due; return the seconds until the next ones, None: nothing is due for the present."""
        met, place = self._obstacles[held.id], Place()
        work = partial(carry, held=held, without=met.passed_over(), place=place)
        try:
            carried = self._attempt(work)
        except OrderctlError as error:
            if place.task_id is None or isinstance(error, LeaseLost):  # the operation's own rows
                raise
            return self._pass_over(held, met, place.task_id, error)
        met.overcome()
        faultpoints.point("operation.committed")
        self._ring(client, carried)
        # Not later than the next turn: an admin may set the database's clock.
        return None if carried.rest is None else min(carried.rest, TURN_SECONDS)

    def _attempt(self, work: Callable[[Connection], Carried]) -> Carried:
        """Change tasks; again after a deadlock, and not after a wait for a row, which would come once more."""
        for _ in range(_RERUNS - 1):
            try:
                return database.transact(self._engine, work, reruns=1)
            except DatabaseBusy as error:
                if _is_row_held(error):
                    raise
                clock.rest(_PAUSE_SECONDS, self._over)
        return database.transact(self._engine, work, reruns=1)

    def _pass_over(self, held: Held, met: Obstacles, task_id: int, error: OrderctlError) -> float:
        """Refuse a task that the database refuses, and pass over one whose rows another program holds."""
        if obstacles.is_of_task(error):
            refused = partial(refuse, held=held, task_id=task_id, error=error)
            database.transact(self._engine, refused, reruns=_RERUNS)
            return 0.0
        if _is_row_held(error):
            with database.reading(self._engine) as connection:
                return met.meet(obstacles.of_order(connection, task_id))
        if isinstance(error, Misconfigured | DatabaseUnavailable):  # of all tasks
            raise error
        self._say(held, met, error)
        return met.meet([task_id])

    def _ring(self, client: redis.Redis | None, carried: Carried) -> None:
        """Publish the changes and wake workers; they are committed, and the keeper rings where this fails."""
        try:
            if carried.moved and client is not None:
                doorbell.after_commit(client, self._queue, carried.moved)
        except RedisUnavailable as error:
            _log.warning("operation %s goes on: %s", carried.name, error)

    def _look(self, held: Held) -> float:
        """Look what has become of the tasks; return the seconds until the next look."""
        looked = database.transact(self._engine, partial(outcomes.look, held=held), reruns=_RERUNS)
        if looked.stopped is not None:
            _log.warning("operation %s is stopped: %s", looked.name, looked.stopped)
        state = self._states.get(held.id)
        if looked.passed:
            self._states[held.id] = State.RUNNING
            self._carry_at.pop(held.id, None)
        elif looked.stopped is not None:
            self._states.pop(held.id, None)
        slow = state not in CHANGING and not looked.ended
        return 0.0 if looked.more else _SETTLING_SECONDS if slow else _LOOK_SECONDS


def _is_row_held(error: OrderctlError) -> bool:
    return isinstance(error.__cause__, DBAPIError) and database_errors.is_row_held(error.__cause__)


def _of(states: Collection[State], most: int) -> Select[Any]:
    """Return the query for operations in these states, by their ids."""
    columns = (_ROW.id, _ROW.name, _ROW.state, _ROW.lease_token, _ROW.lease_until)
    query = select(*columns, database.utc_now().label("now")).where(_ROW.id >= bindparam("floor"))
    # A later version may know other kinds.
    return query.where(_ROW.state.in_(states), _ROW.kind.in_([*Kind])).order_by(_ROW.id).limit(most)


_CHANGING: Final = _of(CHANGING, MOST)
_OTHERS: Final = _of([state for state in ACTIVE if state not in CHANGING], SOME)
_NEWEST: Final = select(func.max(_ROW.id))
