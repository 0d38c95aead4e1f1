"""The life of tasks and orders under any sequence of actions of workers, admins, cron and lost workers."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, delete, event, select, update

from orderctl import clock, database, failures, leases, orders, readiness, reconcile, tasks
from orderctl.errors import Conflict, LeaseLost
from orderctl.failures import Failure
from orderctl.grace import Grace
from orderctl.leases import Claim
from orderctl.orders import NewCourse
from orderctl.patience import Patience
from orderctl.schema import TABLES, download_tasks, order_audit_logs, outbox
from orderctl.schema import orders as orders_table
from orderctl.settings import load
from orderctl.states import (
    ENDED_ORDER,
    ENDED_TASK,
    UNFINISHED,
    WAITING,
    ErrorType,
    Source,
    TaskStatus,
    order_end,
)
from orderctl.sweep import Sweep
from tests.shop import COURSE, Shop

MAX_ATTEMPTS = 2
TRANSIENT = Failure(ErrorType.NETWORK, "reset", "f1")
LASTING = Failure(ErrorType.DISK_SPACE, "full", "f2")

#: A due time so late that a task which has to wait is not due until the pause is ended.
LATER = datetime(2100, 1, 1, tzinfo=UTC)

picks = st.integers(0, 1000)


@dataclass
class Held:
    """A claim that a worker holds, or believes that it holds."""

    claim: Claim
    stage: str = "claimed"  # then: enrolled, started


class Pipeline(RuleBasedStateMachine):
    """Orders, tasks and claims. A worker that lost its lease keeps trying, as if it had been stopped."""

    shop: ClassVar[Shop]

    def __init__(self) -> None:
        super().__init__()
        self.held: list[Held] = []
        self.attempts: dict[int, int] = {}
        self.rounds: dict[int, int] = {}
        self.looks = Sweep(load(environ={"ORDERCTL_STATE_DIR": "/nonexistent"}))
        self.unsure: set[int] = set()  # tasks of which it may be noted wrongly whether they may be claimed
        for table in reversed(TABLES):
            self.shop.transact(lambda c, table=table: c.execute(delete(table)))

    # --- State

    def _tasks(self) -> list[Any]:
        query = select(download_tasks).order_by(download_tasks.c.id)
        return list(self.shop.read(lambda c: c.execute(query).all()))

    def _pick(self, pick: int) -> Any:
        found = self._tasks()
        return found[pick % len(found)]

    # --- Actions

    @initialize(counts=st.lists(st.integers(1, 3), min_size=1, max_size=2))
    def add(self, counts: list[int]) -> None:
        for number, count in enumerate(counts):
            self.shop.paid(f"DH{number}", courses=count, max_attempts=MAX_ATTEMPTS)

    @rule(pick=picks)
    def claim(self, pick: int) -> None:
        task = self._pick(pick)
        claim = self.shop.claim(task.id)
        order = self.shop.read(lambda c: orders.get(c, task.order_id))
        due = task.available_at is None or task.available_at < LATER
        waits = task.status in ("pending", "enrolled") and task.lease_token is None and due
        assert (claim is not None) == (waits and order.order_status != "cancelled")
        if claim is not None:
            assert claim.attempt == task.attempt + 1
            self.held.append(Held(claim))

    @precondition(lambda self: self.held)
    @rule(pick=picks)
    def beat(self, pick: int) -> None:
        self._write(self._holder(pick), partial(leases.beat, lease_seconds=30))

    @precondition(lambda self: self.held)
    @rule(pick=picks)
    def advance(self, pick: int) -> None:
        self._advance(self._holder(pick))

    @precondition(lambda self: self.held)
    @rule(pick=picks, twice=st.booleans())
    def finish(self, pick: int, twice: bool) -> None:
        held = self._holder(pick)
        while held in self.held and held.stage != "started":
            self._advance(held)
        if held in self.held:
            details = {"attempt": held.claim.attempt}
            self._end(
                held, twice, partial(leases.complete, folder_name="f", drive_link=None, details=details)
            )

    @precondition(lambda self: self.held)
    @rule(
        pick=picks,
        twice=st.booleans(),
        failure=st.sampled_from([TRANSIENT, LASTING]),
        limits=st.sampled_from([Patience(), Patience(give_up_after=0)]),
        got_on=st.booleans(),
    )
    def fail(self, pick: int, twice: bool, failure: Failure, limits: Patience, got_on: bool) -> None:
        held = self._holder(pick)
        more = {"failure": failure, "limits": limits, "got_on": got_on}
        self._end(held, twice, partial(failures.fail, retry_transient=True, **more))
        self._postpone(held.claim.task_id)

    @precondition(lambda self: self.held)
    @rule(pick=picks, twice=st.booleans())
    def release(self, pick: int, twice: bool) -> None:
        self._end(self._holder(pick), twice, partial(leases.release, reason="stops"))

    @precondition(lambda self: self.held)
    @rule(pick=picks)
    def lose(self, pick: int) -> None:
        """A worker sends no heartbeat any more; it may come back with its claim."""
        self.shop.expire(self._holder(pick).claim.task_id)

    @rule()
    def reconcile(self) -> None:
        for row in self.shop.read(reconcile._expired):
            self.shop.transact(
                lambda c, row=row: reconcile._recover(
                    c, task_id=row.id, token=row.lease_token, grace=Grace(30), began=clock.elapsed()
                )
            )
        self.shop.transact(
            lambda c: c.execute(
                update(download_tasks)
                .where(download_tasks.c.available_at.is_not(None))
                .values(available_at=database.utc_now(-1))
            )
        )

    @rule(pick=picks, note=st.sampled_from([0, 1, 2]))
    def spoil(self, pick: int, note: int) -> None:
        """Something has noted in a task's row what is not so, as an older version or the shop might."""
        task = self._pick(pick)
        wrong = "UPDATE download_tasks SET ready = :note, available_at = NULL WHERE id = :id"
        self.shop.execute(wrong, note=note, id=task.id)
        self.unsure.add(task.id)

    @rule()
    def look(self) -> None:
        """What a supervisor does each second finds all due tasks, and corrects what was noted."""
        self.looks.find(self.shop.engine, 0)
        found = [one.id for one in self.looks.find(self.shop.engine, 0)]
        now = self.shop.read(Snapshot.of)
        due = [task for task in now.tasks if task.available_at and task.available_at < LATER]
        assert sorted(found) == [task.id for task in due if now.note(task)]
        for task in now.tasks:
            assert task.ready == now.note(task) or (not now.note(task) and task not in due), task
        self.unsure = {task.id for task in now.tasks if task.ready != now.note(task)}

    @rule(pick=picks)
    def retry(self, pick: int) -> None:
        task = self._pick(pick)
        at_work = task.lease_until is not None and task.status in UNFINISHED
        refused = at_work or task.status in ("completed", "downloading")
        with pytest.raises(Conflict) if refused else contextlib.nullcontext():
            self.shop.transact(lambda c: tasks.retry(c, task.id, max_attempts=MAX_ATTEMPTS, actor="admin"))

    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        task = self._pick(pick)
        refused = task.status in ("completed", "cancelled")
        with pytest.raises(Conflict) if refused else contextlib.nullcontext():
            self.shop.transact(lambda c: tasks.cancel(c, task.id, actor="admin"))

    @rule(pick=picks)
    def add_late(self, pick: int) -> None:
        """Add a task after all others, possibly after the order has ended."""
        found = self._tasks()
        order_id = found[pick % len(found)].order_id
        order = self.shop.read(lambda c: orders.get(c, order_id))
        if order.order_status == "cancelled" or len(found) > 6:
            return
        course = NewCourse(f"{COURSE}/late")
        self.shop.transact(
            lambda c: orders.add_task(
                c, order_id, course, max_attempts=MAX_ATTEMPTS, actor="admin", source=Source.CLI
            )
        )

    def _holder(self, pick: int) -> Held:
        return self.held[pick % len(self.held)]

    def _advance(self, held: Held) -> None:
        """Move a task one stage on, by a worker that has the task or believes that it has."""
        if held.stage == "claimed":
            self._write(held, partial(leases.enrolled, title="T", details={}))
            held.stage = "enrolled"
        elif held.stage == "enrolled":
            self._write(held, leases.started)
            held.stage = "started"

    def _postpone(self, task_id: int) -> None:
        """Lengthen the random pause before another attempt until :meth:`reconcile`."""
        task = download_tasks.c
        paused = (task.id == task_id, task.available_at.is_not(None), task.lease_token.is_(None))
        self.shop.transact(
            lambda c: c.execute(update(download_tasks).where(*paused).values(available_at=LATER))
        )

    def _write(self, held: Held, write: Any) -> None:
        """Let a worker write; it must succeed exactly when the worker still has the task."""
        row = self.shop.task_row(held.claim.task_id)
        ours = row.lease_token == held.claim.token
        with contextlib.nullcontext() if ours else pytest.raises(LeaseLost):
            self.shop.transact(lambda c: write(c, held.claim))
        if not ours:
            assert self.shop.task_row(held.claim.task_id) == row
            self.held.remove(held)

    def _end(self, held: Held, twice: bool, end: Any) -> None:
        row = self.shop.task_row(held.claim.task_id)
        if row.lease_token == held.claim.token:
            self.shop.transact(lambda c: end(c, held.claim))
            if twice:  # the answer was lost
                again = self.shop.transact(lambda c: end(c, held.claim))
                assert (again.messages, again.completion) == ((), None)
        else:
            before = self.shop.log_size()
            with contextlib.suppress(LeaseLost):  # or an end that was written before
                self.shop.transact(lambda c: end(c, held.claim))
            assert (self.shop.task_row(held.claim.task_id), self.shop.log_size()) == (row, before)
        self.held.remove(held)

    # --- Invariants

    @invariant()
    def it_holds_what_always_holds(self) -> None:
        now = self.shop.read(Snapshot.of)
        for task in now.tasks:
            self._look_at_task(task)
            self._look_at_note(task, now)
        for order in now.orders:
            self._look_at_order(order, now)
        assert all(count == 1 for count in now.ends().values()), "an attempt ended twice"

    def _look_at_task(self, task: Any) -> None:
        assert task.attempt >= self.attempts.get(task.id, 0)
        self.attempts[task.id] = task.attempt
        assert (task.lease_token is None) == (task.lease_until is None)
        if task.status in ENDED_TASK:
            assert task.lease_token is None
        if task.status == TaskStatus.DOWNLOADING:
            assert task.lease_token is not None
        if task.lease_token is not None:
            assert task.attempt <= task.max_attempts

    def _look_at_note(self, task: Any, now: Snapshot) -> None:
        """Every move keeps the note; only a claim that opens an ended order does not note its other tasks."""
        if not now.is_open(task) or task.attempt == 0:
            self.unsure.add(task.id)
        elif task.ready == now.note(task):
            self.unsure.discard(task.id)
        assert task.ready == now.note(task) or task.id in self.unsure

    def _look_at_order(self, order: Any, now: Snapshot) -> None:
        tasks_of = [task for task in now.tasks if task.order_id == order.id]
        has_ended, end = (
            order.order_status in ENDED_ORDER,
            order_end(Counter(task.status for task in tasks_of)),
        )
        late = any(task.attempt == 0 and task.status == "pending" for task in tasks_of)
        assert order.order_status == end if end is not None else late or not has_ended
        assert (order.completed_at is not None) == has_ended
        assert order.round >= self.rounds.get(order.id, 0)
        self.rounds[order.id] = order.round
        types = Counter(event.event_type for event in now.events if event.order_id == order.id)
        ends = types["order_completed"] + types["order_failed"] + types["order_cancelled"]
        assert ends == order.round + has_ended
        assert types["order_reopened"] == order.round
        for number in range(ends):
            ways = [f"order:{order.id}:round:{number}:{way}" for way in ("completion", "summary", "webhook")]
            assert [now.sent[way] for way in ways] == [1, 1, 1]


@dataclass
class Snapshot:
    """All rows at one moment."""

    orders: list[Any]
    tasks: list[Any]
    events: list[Any]
    sent: Counter[str]

    @classmethod
    def of(cls, connection: Connection) -> Snapshot:
        tables = (orders_table, download_tasks, order_audit_logs)
        rows = [list(connection.execute(select(table).order_by(table.c.id))) for table in tables]
        return cls(*rows, Counter(connection.execute(select(outbox.c.dedup_key)).scalars()))

    def is_open(self, task: Any) -> bool:
        """Whether a task's order has not ended."""
        return any(
            order.order_status in ("pending", "processing")
            for order in self.orders
            if order.id == task.order_id
        )

    def note(self, task: Any) -> int:
        """Return what is to be noted of a task, all of which are of paid orders."""
        if task.status not in WAITING or task.lease_token is not None or not self.is_open(task):
            return readiness.NOT_READY
        return readiness.READY if task.failing_since is None else readiness.FAILING

    def ends(self) -> Counter[tuple[int, int]]:
        """Return how often each attempt of each task has ended."""
        told = [event for event in self.events if event.event_type in ENDS]
        return Counter(
            (event.task_id, event.details["attempt"]) for event in told if "attempt" in event.details
        )


#: More examples: `make fuzz-orders`.
TIMES = int(os.environ.get("FUZZ_TIMES", "1"))
ENDS = ("download_completed", "download_failed", "task_recovered", "task_released")


def _run(shop: Shop, examples: int, steps: int) -> None:
    machine = type("PipelineHere", (Pipeline,), {"shop": shop})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            # Shrinking takes longer than the test's time limit; to debug a failure, add Phase.shrink here.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.databases("sqlite")
def test_any_sequence_keeps_orders_and_tasks_whole(shop: Shop) -> None:
    # No process is killed here, and a sync for each of some thousand commits takes a minute.
    event.listen(shop.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    _run(shop, examples=TIMES * 80, steps=40)


@pytest.mark.databases("mariadb")
def test_any_sequence_keeps_them_whole_on_a_server_too(shop: Shop) -> None:
    _run(shop, examples=TIMES * 15, steps=30)
