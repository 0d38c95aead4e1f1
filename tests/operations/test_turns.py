"""What supervisors do for operations: each task once, the canary first, and never more than is allowed."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import pymysql
import pytest
from sqlalchemy import Connection, Engine, text, update
from sqlalchemy.exc import OperationalError

from orderctl import broker, clock, database, tasks
from orderctl.errors import Conflict, LeaseLost, RedisUnavailable
from orderctl.operations import carrying, reading, retention, stopping, turns
from orderctl.operations.carrying import Held
from orderctl.operations.rates import Rate
from orderctl.operations.records import Kind, Operation, OperationNotFound, State
from orderctl.operations.turns import Turns
from orderctl.schema import operations
from orderctl.states import ErrorType
from orderctl.worker import fleet, operator
from tests.operations.conftest import QUEUE, Bulk

SQLITE = pytest.mark.databases("sqlite")


def test_each_task_is_retried_once_and_counted_when_it_has_ended(bulk: Bulk) -> None:
    ids = bulk.failed(25)
    made = bulk.make(reason="the CDN was away")
    assert (made.state, made.total, made.waiting) == (State.RUNNING, 25, 25)

    bulk.turn(3)

    assert bulk.now().state == State.SETTLING
    assert bulk.retries() == dict.fromkeys(ids, 1)
    assert bulk.client.llen("rq:queue:orderctl") == 25
    event = next(one for one in bulk.shop.events("DH1", task_id=ids[0]) if one.event_type == "task_retried")
    assert (event.actor, event.source, event.details["operation"]) == ("anna@desk", "orderctl_cli", "op")
    assert event.message.endswith("(operation op: the CDN was away)")

    for one in ids[:-1]:
        bulk.shop.carry_out(one)
    bulk.turn()
    assert (bulk.now().state, bulk.now().unfinished) == (State.SETTLING, 1)
    bulk.shop.fail(ids[-1], ErrorType.PERMISSION)
    bulk.turn()

    now = bulk.now()
    assert (now.state, now.completed, now.failed, now.ended_at is not None) == (State.FINISHED, 24, 1, True)
    assert bulk.shop.read(lambda c: reading.failures(c, now.id)) == [("PERMISSION", 1)]


@SQLITE
def test_the_rest_waits_until_the_canary_has_passed(bulk: Bulk) -> None:
    ids = bulk.failed(6)
    bulk.make(canary=2)

    bulk.turn(3)
    assert bulk.statuses(ids) == ["pending"] * 2 + ["failed"] * 4
    bulk.shop.carry_out(ids[0])
    bulk.turn(2)
    assert (bulk.now().state, bulk.now().waiting) == (State.CANARY, 4)
    bulk.shop.carry_out(ids[1])
    bulk.turn(3)

    assert bulk.statuses(ids) == ["completed"] * 2 + ["pending"] * 4
    assert bulk.retries() == dict.fromkeys(ids, 1)


@SQLITE
@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_a_canary_that_does_not_pass_stops_the_operation(
    bulk: Bulk, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    ids = bulk.failed(5)
    bulk.make(canary=2)
    bulk.turn()

    if end == "failed":
        bulk.shop.fail(ids[0])
    else:
        bulk.shop.transact(lambda c: tasks.cancel(c, ids[0], actor="somebody"))
    bulk.turn(3)

    now = bulk.now()
    assert (now.state, now.waiting) == (State.STOPPING, 3)
    assert "1 of the canary's tasks" in str(now.why)
    assert f"operation op is stopped: {now.why}" in caplog.messages
    assert bulk.statuses(ids) == [end, "pending", "failed", "failed", "failed"]
    bulk.shop.carry_out(ids[1])
    bulk.turn(2)
    assert (bulk.now().state, bulk.now().completed) == (State.STOPPED, 1)


@SQLITE
@pytest.mark.parametrize("failures", [1, 3])
def test_a_canary_that_fails_stops_it_however_many_failures_are_allowed(bulk: Bulk, failures: int) -> None:
    ids = bulk.failed(6)
    bulk.make(canary=3, max_failures=20)
    bulk.turn()
    for one in ids[:failures]:
        bulk.shop.fail(one)
    for one in ids[failures:3]:
        bulk.shop.carry_out(one)
    bulk.turn(3)
    assert (bulk.now().state, bulk.now().changed, bulk.now().failed) == (State.STOPPED, 3, failures)
    assert bulk.statuses(ids)[3:] == ["failed"] * 3


@SQLITE
@pytest.mark.parametrize("refused", [0, 3])
def test_a_canary_that_has_no_more_tasks_than_can_be_retried_is_judged(bulk: Bulk, refused: int) -> None:
    ids = bulk.failed(3 + refused)
    others = ", ".join(map(str, ids[3:])) or "0"
    bulk.shop.execute(f"UPDATE download_tasks SET managed = 0 WHERE id IN ({others})")
    bulk.make(canary=5)
    bulk.turn(3)
    assert (bulk.now().state, bulk.now().refused) == (State.CANARY, refused)
    assert bulk.now().canaries == 3
    bulk.shop.carry_out(ids[0])
    bulk.shop.fail(ids[1])
    bulk.turn(2)
    bulk.shop.carry_out(ids[2])
    bulk.turn(2)
    assert (bulk.now().state, bulk.now().why) == (
        State.STOPPED,
        "1 of the canary's tasks failed again, and none may",
    )


@SQLITE
@pytest.mark.parametrize("number", [2, 3])
def test_a_canary_of_all_tasks_passes(bulk: Bulk, number: int) -> None:
    ids = bulk.failed(2)
    bulk.make(canary=number)
    bulk.turn()
    for one in ids:
        bulk.shop.carry_out(one)
    bulk.turn(4)
    assert (bulk.now().state, bulk.now().completed) == (State.FINISHED, 2)


@SQLITE
def test_the_limit_of_failures_is_about_the_tasks_after_the_canary(bulk: Bulk) -> None:
    ids = bulk.failed(4)
    bulk.make(canary=1, max_failures=1)
    bulk.turn()
    bulk.shop.carry_out(ids[0])
    bulk.turn(3)
    bulk.shop.fail(ids[1])
    bulk.turn()
    assert (bulk.now().state, bulk.now().failed) == (State.SETTLING, 1)


@SQLITE
def test_too_many_failures_stop_it(bulk: Bulk) -> None:
    ids = bulk.failed(6)
    bulk.make(max_failures=1, rate=Rate.parse("1/h"))
    for number, one in enumerate(ids[:2]):
        bulk.write(next_at=None)
        bulk.turn()
        bulk.shop.fail(one)
        assert bulk.now().state == State.RUNNING, number
    bulk.turn()
    assert (bulk.now().state, bulk.now().failed) == (State.STOPPED, 2)
    assert bulk.now().why == "2 of its tasks failed again, and 1 may"
    bulk.write(next_at=None)
    bulk.turn()
    assert sum(bulk.retries().values()) == 2


@SQLITE
def test_the_pace_is_that_of_the_databases_clock(bulk: Bulk) -> None:
    bulk.failed(9)
    bulk.make(rate=Rate.parse("60/h"))
    bulk.turn(3)
    assert sum(bulk.retries().values()) == 1

    bulk.write(next_at=database.utc_now(-3600))  # an outage of an hour

    bulk.turn(3)
    assert sum(bulk.retries().values()) == 2


@SQLITE
def test_a_stop_keeps_what_is_done(bulk: Bulk) -> None:
    ids = bulk.failed(4)
    made = bulk.make(rate=Rate.parse("1/h"))
    bulk.turn()

    now = bulk.shop.transact(lambda c: stopping.stop(c, "op", actor="boss", reason="lunch"))

    assert (now.state, now.why, now.stopped_by) == (State.STOPPING, "lunch", "boss")
    bulk.write(next_at=None)
    with pytest.raises(LeaseLost):  # whoever was about to carry it out
        bulk.shop.transact(partial(carrying.carry, held=Held(made.id, bulk.turns._token)))
    bulk.turn()
    assert bulk.statuses(ids) == ["pending", "failed", "failed", "failed"]
    with pytest.raises(Conflict, match="nothing is left to stop"):
        bulk.shop.transact(lambda c: stopping.stop(c, "op", actor="boss"))


@SQLITE
def test_two_operations_on_the_same_tasks_do_each_once(bulk: Bulk) -> None:
    ids = bulk.failed(12)
    first, second = bulk.make(name="first"), bulk.make(name="second")

    bulk.turn(4)

    assert bulk.retries() == dict.fromkeys(ids, 1)
    assert bulk.now("first").changed + bulk.now("second").changed == 12
    assert bulk.now("first").unchanged + bulk.now("second").unchanged == 12
    assert set(bulk.states(first) + bulk.states(second)) == {"changed", "unchanged"}
    assert bulk.now("second").waiting == 0


@SQLITE
def test_a_failure_that_came_after_the_selection_is_left_alone(bulk: Bulk) -> None:
    ids = bulk.failed(3)
    made = bulk.make(rate=Rate.parse("1/h"))
    bulk.shop.transact(lambda c: tasks.retry(c, ids[0], max_attempts=1, actor="another"))
    bulk.shop.fail(ids[0])
    bulk.turn()
    assert (bulk.states(made), bulk.now().unchanged) == (["unchanged", "waiting", "waiting"], 1)
    assert "is failed after attempt 4 now" in str(bulk.items(made)[ids[0]].note)
    assert bulk.statuses(ids) == ["failed"] * 3


@pytest.mark.databases("sqlite", "mariadb")
def test_two_supervisors_do_each_task_once(bulk: Bulk) -> None:
    ids = bulk.failed(60)
    bulk.make()
    workers = [Turns(bulk.shop.engine, QUEUE) for _ in range(2)]

    with ThreadPoolExecutor(2) as pool:
        for _ in range(20):
            list(pool.map(lambda one: one.turn(bulk.client), workers))
            if not bulk.now().waiting:
                break

    assert bulk.retries() == dict.fromkeys(ids, 1)
    assert (bulk.now().changed, bulk.now().unchanged) == (60, 0)


@SQLITE
def test_who_has_lost_the_lease_changes_nothing(bulk: Bulk) -> None:
    bulk.failed(4)
    made = bulk.make(rate=Rate.parse("1/h"))
    bulk.turn()
    bulk.forget_lease()
    other = Turns(bulk.shop.engine, QUEUE)
    other.turn(bulk.client)
    bulk.write(next_at=None)

    with pytest.raises(LeaseLost):
        bulk.shop.transact(partial(carrying.carry, held=Held(made.id, bulk.turns._token)))
    bulk.turn()
    assert sum(bulk.retries().values()) == 1
    other.release()
    bulk.turn()
    assert sum(bulk.retries().values()) == 2


@SQLITE
def test_what_cannot_be_retried_is_noted_and_the_rest_goes_on(bulk: Bulk) -> None:
    ids = bulk.failed(6)
    bulk.shop.execute(f"UPDATE download_tasks SET managed = 0 WHERE id = {ids[1]}")
    bulk.shop.execute(
        "CREATE TRIGGER refused BEFORE UPDATE ON download_tasks"
        f" WHEN OLD.id = {ids[3]} BEGIN SELECT RAISE(ABORT, 'the shop refuses'); END"
    )
    made = bulk.make()
    bulk.shop.execute(f"DELETE FROM order_audit_logs WHERE task_id = {ids[5]}")
    bulk.shop.execute(f"DELETE FROM download_tasks WHERE id = {ids[5]}")

    for _ in range(10):
        bulk.turns._carry_at.clear()
        bulk.turn()

    states = ["changed", "refused", "changed", "refused", "changed", "refused"]
    assert bulk.states(made) == states
    notes = [item.note or "" for _, item in sorted(bulk.items(made).items())]
    assert "the shop's own workers" in notes[1]
    assert "the shop refuses" in notes[3]
    assert notes[5] == f"task {ids[5]} not found"
    assert (bulk.now().changed, bulk.now().refused, bulk.now().state) == (3, 3, State.SETTLING)


def test_why_tasks_are_refused_is_told_first(bulk: Bulk) -> None:
    ids = bulk.failed(8)
    ids += bulk.failed(4, "DH2")
    ids += bulk.failed(4, "DH3")
    bulk.shop.execute(f"UPDATE download_tasks SET managed = 0 WHERE id IN ({ids[0]}, {ids[2]}, {ids[5]})")
    bulk.shop.execute("UPDATE orders SET payment_status = 'pending' WHERE order_code <> 'DH1'")
    made = bulk.make()
    bulk.turn(3)

    refused, items = bulk.shop.read(
        lambda c: (reading.refusals(c, made.id), reading.last_items(c, made.id, limit=12))
    )
    assert refused == [
        ("the order is not paid, so its tasks cannot be retried", 8),
        ("the task is run by the shop's own workers", 3),
    ]
    bad = [ids[0], ids[2], ids[5], *ids[8:]]
    assert [item.task_id for item in items] == [*reversed(bad), ids[7]]


@SQLITE
def test_a_cancellation_ends_when_all_are_cancelled(bulk: Bulk) -> None:
    ids = bulk.shop.paid("DH1", 4)
    bulk.make(ids, kind=Kind.CANCEL, reason="withdrawn")

    bulk.turn(3)

    assert bulk.statuses(ids) == ["cancelled"] * 4
    assert (bulk.now().state, bulk.now().changed, bulk.now().unfinished) == (State.FINISHED, 4, 0)
    assert bulk.shop.order().order_status == "cancelled"


@SQLITE
def test_while_the_queue_is_paused_only_carrying_out_rests(bulk: Bulk) -> None:
    ids = bulk.failed(4)
    bulk.make(ids[:2], name="settling")
    bulk.turn(3)
    bulk.make(ids[2:], name="running")
    bulk.make(ids, name="dead")
    dead = operations.c.name == "dead"
    half = {"state": State.PREPARING.value, "lease_until": database.utc_now(-60)}
    bulk.shop.transact(lambda c: c.execute(update(operations).where(dead).values(half)))
    for one in ids[:2]:
        bulk.shop.carry_out(one)
    fleet.pause(bulk.client, QUEUE)

    for _ in range(3):
        bulk.turns._look_at.clear()
        operator.take(bulk.turns, bulk.client, QUEUE)

    assert (bulk.now("settling").state, bulk.now("running").waiting) == (State.FINISHED, 2)
    with pytest.raises(OperationNotFound):
        bulk.now("dead")
    fleet.resume(bulk.client, QUEUE)
    operator.take(bulk.turns, bulk.client, QUEUE)
    assert bulk.now("running").waiting == 0


@SQLITE
def test_the_operator_goes_on_while_redis_is_away(bulk: Bulk) -> None:
    ids = bulk.failed(3)
    bulk.make()
    with pytest.raises(RedisUnavailable):  # which its rounds tell once
        operator.take(bulk.turns, broker.brisk("redis://127.0.0.1:1/0"), QUEUE)
    assert bulk.statuses(ids) == ["pending"] * 3


@SQLITE
def test_without_redis_the_tasks_are_changed_and_a_keeper_wakes_workers(bulk: Bulk) -> None:
    ids = bulk.failed(3)
    bulk.make()
    bulk.turns.turn(broker.brisk("redis://127.0.0.1:1/0"))
    assert bulk.statuses(ids) == ["pending"] * 3


def refusing(code: int, *ids: int) -> Callable[..., Any]:
    """Return what retries tasks, and for some of them raises an error of the server."""
    retry = tasks.retry

    def attempt(connection: Connection, task_id: int, **more: Any) -> Any:
        if not ids or task_id in ids:
            raise OperationalError("UPDATE", {}, pymysql.err.OperationalError(code, "no"))
        return retry(connection, task_id, **more)

    return attempt


@SQLITE
@pytest.mark.parametrize(
    ("code", "state", "said"),
    [
        (1644, "refused", 0),  # a trigger's SIGNAL
        (31_000, "refused", 0),  # the same with a number of its own
        (1406, "refused", 0),  # too long
        (1452, "refused", 0),  # a foreign key
        (1142, "waiting", 1),  # a right is missing
        (1146, "waiting", 1),  # a table is missing
        (1194, "waiting", 1),  # a table is damaged
        (1205, "waiting", 0),  # another program holds the row
        (1213, "waiting", 0),  # deadlocks
    ],
)
def test_only_what_the_database_says_of_one_task_refuses_it(
    bulk: Bulk,
    code: int,
    state: str,
    said: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bulk.failed(2)
    made = bulk.make()
    with monkeypatch.context() as patch:
        patch.setattr(tasks, "retry", refusing(code))
        bulk.turn(3)
    waits = {record.getMessage() for record in caplog.records if " waits: " in record.getMessage()}
    assert (bulk.states(made), len(waits)) == ([state] * 2, said)
    if state == "waiting":
        monkeypatch.setattr(clock, "elapsed", lambda ahead=time.monotonic: ahead() + 600)
        bulk.turn(2)
        assert bulk.states(made) == ["changed"] * 2


@SQLITE
@pytest.mark.parametrize("code", [1205, 3572, 1194])
def test_a_task_whose_row_is_held_lets_the_others_pass(
    bulk: Bulk, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, others = bulk.failed(2), bulk.failed(30, "DH2")
    made = bulk.make()
    monkeypatch.setattr(tasks, "retry", refusing(code, held[0]))
    bulk.turn(4)
    of_order = held if code != 1194 else held[:1]  # who holds an order holds up all its tasks
    items = bulk.items(made)
    assert {one for one, item in items.items() if item.state == "waiting"} == set(of_order)
    assert bulk.statuses(others) == ["pending"] * 30
    assert (bulk.now().state, bulk.now().refused) == (State.RUNNING, 0)


@SQLITE
def test_a_fault_of_one_operation_is_none_of_the_others(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = bulk.failed(2)
    bulk.make(ids[:1], name="first")
    bulk.make(ids[1:], name="second")
    monkeypatch.setattr(tasks, "retry", refusing(1142, ids[0]))
    bulk.turn(2)
    assert bulk.statuses(ids) == ["failed", "pending"]
    assert (bulk.now("first").waiting, bulk.now("first").refused) == (1, 0)


@pytest.mark.databases("mariadb")
def test_an_order_that_another_program_holds_keeps_no_other_from_going_on(bulk: Bulk) -> None:
    held, others = bulk.failed(3), bulk.failed(40, "DH2")
    bulk.make(held, name="first")
    bulk.make(name="second")
    with closing_engine(bulk) as brisk, bulk.shop.engine.begin() as connection:
        connection.execute(text("SELECT id FROM orders WHERE order_code = 'DH1' FOR UPDATE"))
        bulk.turns = Turns(brisk, QUEUE)
        bulk.turn(8)
        assert bulk.statuses(others) == ["pending"] * 40
        assert (bulk.now("first").waiting, bulk.now("second").waiting) == (3, 3)


@contextmanager
def closing_engine(bulk: Bulk) -> Iterator[Engine]:
    """Return an engine with the operator's wait for rows."""
    engine = database.connect(bulk.shop.engine.url.render_as_string(hide_password=False), lock_wait_seconds=1)
    yield engine
    engine.dispose()


@SQLITE
def test_operations_that_settle_keep_none_from_beginning(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_OTHERS", turns._OTHERS.limit(2))
    monkeypatch.setattr(turns, "SOME", 2)
    monkeypatch.setattr(turns, "_CHANGING", turns._CHANGING.limit(1))
    ids = bulk.failed(6)
    for one in ids[:5]:
        bulk.make([one], name=f"op{one}")
        bulk.turn(2)
    assert {bulk.now(f"op{one}").state for one in ids[:5]} == {State.SETTLING}

    bulk.make(ids[5:], name="last")
    bulk.turn()
    assert bulk.now("last").changed == 1
    for one in ids:
        bulk.shop.carry_out(one)
    bulk.turn(4)
    names = ["last", *(f"op{one}" for one in ids[:5])]
    assert {bulk.now(name).state for name in names} == {State.FINISHED}


@SQLITE
def test_operations_that_are_over_are_not_read_again(bulk: Bulk) -> None:
    ids = bulk.failed(2)
    for one in ids:
        bulk.make([one], name=f"op{one}")
    bulk.shop.execute("UPDATE orderctl_operations SET state = 'finished' WHERE id = 1")
    bulk.turn()
    assert bulk.turns._floor == 2
    bulk.shop.execute("UPDATE orderctl_operations SET state = 'finished', id = 500 WHERE id = 2")
    bulk.turn(2)
    assert bulk.turns._floor == 400


def old_and_new(bulk: Bulk) -> list[Operation]:
    """Return operations that ended 91 days ago, 89 days ago, and not yet."""
    ids = bulk.failed(4)
    made = [bulk.make(ids, name=name, rate=Rate.parse("1/h")) for name in ("old", "young", "open")]
    bulk.write(ended_at=database.utc_now(-91 * 86_400.0))
    bulk.shop.execute("UPDATE orderctl_operations SET state = 'finished', changed = 4 WHERE name <> 'open'")
    bulk.shop.transact(
        lambda c: c.execute(
            update(operations)
            .where(operations.c.name == "young")
            .values(ended_at=database.utc_now(-89 * 86_400.0))
        )
    )
    return made


@SQLITE
def test_tasks_of_operations_that_ended_long_ago_are_removed(
    bulk: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "SOME", 3)
    monkeypatch.setattr(retention, "OPERATIONS", 1)
    made = old_and_new(bulk)
    bulk.turn()
    assert [len(bulk.items(one)) for one in made] == [1, 4, 4]  # a part each turn
    bulk.turn(6)
    assert [len(bulk.items(one)) for one in made] == [0, 4, 4]
    assert (bulk.now("old").total, bulk.now("old").changed) == (4, 4)


@SQLITE
def test_without_the_right_to_remove_tasks_operations_go_on(
    bulk: Bulk, caplog: pytest.LogCaptureFixture
) -> None:
    made = old_and_new(bulk)
    bulk.shop.execute(
        "CREATE TRIGGER kept BEFORE DELETE ON orderctl_operation_tasks"
        " BEGIN SELECT RAISE(ABORT, 'DELETE command denied'); END"
    )
    bulk.turn(3)
    assert (len(bulk.items(made[0])), sum(bulk.retries().values())) == (4, 1)
    assert len([record for record in caplog.records if "not removed" in record.getMessage()]) == 1
