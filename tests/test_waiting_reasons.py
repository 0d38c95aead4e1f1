"""Why tasks and orders wait: each cause, its words, and the command that helps."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from orderctl import broker, channels, failures, readiness, waiting_reasons
from orderctl.failures import Failure
from orderctl.settings import Settings, load
from orderctl.states import ErrorType, TaskStatus
from orderctl.waits import Cause, Reason
from orderctl.worker import fleet
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")

NO_WORKER = Reason(Cause.NO_WORKER, "no worker is running", "orderctl worker start")
PAUSED = Reason(Cause.PAUSED, "the queue is paused", "orderctl worker resume")
SOON = Reason(Cause.SOON, "a free worker takes it in a moment")


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with broker.brisk(redis_url) as client:
        yield client


def _settings(**environ: str) -> Settings:
    return load(environ={"ORDERCTL_STATE_DIR": "/nonexistent"} | environ)


def _start(client: redis.Redis, name: str = "s1", *, workers: int = 1, **more: Any) -> None:
    """Let there be a supervisor."""
    sign = {"name": name, "queue": "orderctl", "concurrency": workers, "started": 1} | more
    client.set(broker.key(client, channels.supervisor(name)), json.dumps(sign))


def _task(shop: Shop, client: redis.Redis | None, task_id: int, **environ: str) -> Reason | None:
    its = [shop.task(task_id)]
    return shop.read(lambda c: waiting_reasons.of_tasks(c, client, _settings(**environ), its)).get(task_id)


def _order(shop: Shop, client: redis.Redis | None, code: str = "DH1", **environ: str) -> Reason | None:
    order = shop.order(code)
    its = shop.tasks(order.id)
    return shop.read(lambda c: waiting_reasons.of_order(c, client, _settings(**environ), order, its))


def test_an_order_that_is_not_paid_waits_for_its_payment(shop: Shop) -> None:
    order_id = shop.add("DH'1", amount="300000")

    hint = """orderctl orders pay 'DH'"'"'1' --amount 300000"""
    assert _order(shop, None, "DH'1") == Reason(Cause.UNPAID, "the order is not paid", hint)
    assert _task(shop, None, shop.tasks(order_id)[0].id) == _order(shop, None, "DH'1")

    shop.execute("UPDATE orders SET total_amount = 'much'")
    shown = _order(shop, None, "DH'1")
    assert shown is not None
    assert shown.hint == """orderctl orders show 'DH'"'"'1'"""

    shop.execute("UPDATE orders SET payment_status = 'refunded'")
    assert _order(shop, None, "DH'1") == Reason(Cause.UNPAID, "the order's payment is refunded")


def test_without_a_worker_nothing_happens(shop: Shop, client: redis.Redis) -> None:
    [task_id] = shop.paid()

    assert _task(shop, None, task_id) == NO_WORKER  # the embedded Redis does not run
    assert _task(shop, client, task_id) == NO_WORKER
    assert _order(shop, client) == NO_WORKER
    assert NO_WORKER.line == "no worker is running: orderctl worker start"

    _start(client, queue="mail")
    other = _task(shop, client, task_id)
    assert other is not None
    assert other.line == "no worker is running on queue orderctl, only on queue mail: orderctl worker start"

    _start(client, "s2", draining=True)
    draining = _task(shop, client, task_id)
    assert draining is not None
    assert (draining.cause, draining.hint) == (Cause.NO_WORKER, "orderctl worker start")
    assert draining.text == "the workers are draining and take no more tasks"


def test_a_paused_queue_takes_nothing(shop: Shop, client: redis.Redis) -> None:
    [task_id] = shop.paid()
    _start(client)
    fleet.pause(client, "orderctl")
    fleet.pause(client, "it's")

    assert _task(shop, client, task_id) == PAUSED
    named = _task(shop, client, task_id, ORDERCTL_WORKER_QUEUE="it's")
    assert named is not None
    assert named.hint == "orderctl worker resume --queue 'it'\"'\"'s'"


def test_tasks_before_it_are_counted_in_the_order_in_which_they_are_taken(
    shop: Shop, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = shop.paid(courses=4)
    _start(client)

    assert _task(shop, client, ids[0]) == SOON
    assert _order(shop, client) == SOON
    assert _task(shop, client, ids[1]) == Reason(Cause.BEHIND, "1 task before it")
    shop.claimed(ids[0], worker="s1.worker-1.1")
    assert _task(shop, client, ids[0]) is None
    assert _task(shop, client, ids[1]) == Reason(Cause.BEHIND, "it is the next one: the worker is busy")
    assert _task(shop, client, ids[3]) == Reason(Cause.BEHIND, "2 tasks before it")
    assert _order(shop, client) is None  # one of its tasks is running

    shop.paid("DH2")
    assert _order(shop, client, "DH2") == Reason(Cause.BEHIND, "3 tasks before it")
    monkeypatch.setattr(waiting_reasons, "MOST_BEFORE", 2)
    assert _order(shop, client, "DH2") == Reason(Cause.BEHIND, "more than 2 tasks before it")
    _start(client, workers=8)
    assert _task(shop, client, ids[3]) == SOON


def test_a_task_that_is_not_noted_yet_is_the_last(shop: Shop, client: redis.Redis) -> None:
    first, second = shop.paid(courses=2)
    shop.execute("UPDATE download_tasks SET ready = 0, available_at = NULL WHERE id = :id", id=first)
    _start(client)

    assert _task(shop, client, second) == SOON
    assert _task(shop, client, first) == Reason(Cause.BEHIND, "1 task before it")


def test_the_next_attempt_is_counted_down(shop: Shop, client: redis.Redis) -> None:
    [task_id] = shop.paid()
    claim, failure = shop.claimed(task_id), Failure(ErrorType.NETWORK, "connection refused", "abc123")
    shop.transact(lambda c: failures.fail(c, claim, failure, retry_transient=True))
    shop.execute("UPDATE download_tasks SET available_at = '2999-01-01 00:00:00'")

    assert _task(shop, client, task_id) == NO_WORKER
    _start(client)
    waits = _task(shop, client, task_id)
    assert waits is not None
    assert (waits.cause, waits.hint) == (Cause.RETRY, None)
    assert waits.text.startswith("next attempt in ")
    assert waits.text.endswith(f" h: {ErrorType.NETWORK}")
    assert _order(shop, client) == waits


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "1 s"), (41.2, "42 s"), (120, "120 s"), (121, "3 min"), (7201, "3 h")]
)
def test_a_length_is_rounded_up(seconds: float, text: str) -> None:
    assert waiting_reasons._length(seconds) == text


def test_tasks_of_the_shop_are_left_to_it(shop: Shop, client: redis.Redis) -> None:
    [task_id] = shop.paid()
    shop.execute("UPDATE download_tasks SET managed = 0")

    shops = Reason(Cause.SHOP, "the shop's own workers carry it out")
    assert _task(shop, client, task_id) == shops
    assert _order(shop, client) == shops
    assert _task(shop, client, task_id, ORDERCTL_WORKER_TAKE="all") == NO_WORKER
    shop.execute("UPDATE download_tasks SET status = 'downloading'")
    assert _order(shop, client) is None


def test_redis_that_does_not_answer_leaves_it_unknown(shop: Shop) -> None:
    [task_id] = shop.paid()
    with broker.hasty("unix:///nonexistent/socket") as away:
        found = _task(shop, away, task_id)
        assert found is not None
        assert found.cause is Cause.UNKNOWN
        assert found.text.startswith("Redis does not answer: ")
        assert _order(shop, away) == found


def test_a_lost_worker_is_replaced(shop: Shop, client: redis.Redis) -> None:
    [task_id] = shop.paid()
    shop.claimed(task_id, worker="gone.worker-1.1")
    shop.execute("UPDATE download_tasks SET lease_until = '2020-01-01 00:00:00'")

    assert _task(shop, client, task_id) == NO_WORKER
    _start(client)
    assert _task(shop, client, task_id) == Reason(
        Cause.SOON, "its worker has ended: another one takes it over in a moment"
    )


def test_a_task_whose_supervisor_sends_no_heartbeat_is_not_running(shop: Shop, client: redis.Redis) -> None:
    lost, held = shop.paid(courses=2)
    shop.start(shop.claimed(lost, worker="gone.worker-1.1"))

    assert _task(shop, client, lost) == NO_WORKER
    assert _order(shop, client) == NO_WORKER
    assert _task(shop, None, lost) == NO_WORKER

    _start(client, workers=2)
    shop.claimed(held, worker="s1.worker-2.1")
    found = _task(shop, client, lost)
    assert found is not None
    assert found.cause is Cause.SOON
    assert re.fullmatch(r"its worker sends no heartbeat: taken over in (29|30) s", found.text)
    assert (_task(shop, client, held), _order(shop, client)) == (None, None)

    _start(client, "gone")
    assert _task(shop, client, lost) is None


def test_a_running_task_counts_as_running_while_redis_is_away(shop: Shop) -> None:
    [task_id] = shop.paid()
    shop.claimed(task_id, worker="gone.worker-1.1")
    with broker.hasty("unix:///nonexistent/socket") as away:
        assert (_task(shop, away, task_id), _order(shop, away)) == (None, None)


def test_workers_of_running_tasks_are_asked_for_by_name_and_once(
    shop: Shop, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for task_id in shop.paid(courses=3):
        shop.claimed(task_id, worker=f"s1.worker-{task_id}.1")
    _start(client)
    asked: list[str] = []
    monkeypatch.setattr(client, "execute_command", _noting(client.execute_command, asked))

    assert _order(shop, client) is None
    assert asked == ["MGET"]


@pytest.mark.parametrize("claimed", [0, 1])
def test_redis_that_is_away_is_asked_once(
    claimed: int, shop: Shop, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = shop.paid(courses=2)
    shop.claimed(ids[claimed], worker="s1.worker-1.1")
    asked: list[str] = []
    with broker.hasty("unix:///nonexistent/socket") as away:
        monkeypatch.setattr(away, "execute_command", _noting(away.execute_command, asked))
        its = shop.tasks(1)
        found = shop.read(lambda c: waiting_reasons.of_tasks(c, away, _settings(), its))

    assert [reason.cause for reason in found.values()] == [Cause.UNKNOWN]
    assert len(asked) == 1


def _noting(call: Callable[..., Any], names: list[str]) -> Callable[..., Any]:
    def noted(*arguments: Any, **more: Any) -> Any:
        names.append(arguments[0])
        return call(*arguments, **more)

    return noted


def test_what_has_ended_waits_for_nothing(shop: Shop, client: redis.Redis) -> None:
    [done] = shop.paid("DH1")
    shop.carry_out(done)
    [failed] = shop.paid("DH2")
    shop.fail(failed)
    shop.paid("DH3")
    shop.execute("UPDATE orders SET order_status = 'cancelled' WHERE order_code = 'DH3'")

    assert [_order(shop, client, code) for code in ("DH1", "DH2", "DH3")] == [None] * 3
    assert _task(shop, client, failed) is None
    assert _task(shop, client, shop.tasks(shop.order("DH3").id)[0].id) is None


def test_a_status_of_the_shop_is_named(shop: Shop, client: redis.Redis) -> None:
    shop.paid()
    shop.execute("UPDATE orders SET order_status = 'on_hold'")

    assert _order(shop, client) == Reason(Cause.STATUS, "the order has the status 'on_hold'")


def test_the_most_telling_reason_is_that_of_the_task_that_comes_first(
    shop: Shop, client: redis.Redis
) -> None:
    first, second, third = shop.paid(courses=3)
    later = "UPDATE download_tasks SET available_at = '2999-01-01 00:00:00' WHERE id = :id"
    shop.execute(later, id=first)
    shop.execute("UPDATE download_tasks SET managed = 0, ready = 0 WHERE id = :id", id=second)
    _start(client)

    assert _order(shop, client) == SOON
    shop.execute(later, id=third)
    found = _order(shop, client)
    assert found is not None
    assert found.cause is Cause.RETRY


def test_the_line_has_failing_tasks_too(shop: Shop) -> None:
    first, second = shop.paid(courses=2)
    shop.execute(
        "UPDATE download_tasks SET ready = 2, available_at = '2020-01-01 00:00:00' WHERE id = :id", id=second
    )

    line = shop.read(lambda c: readiness.line(c, limit=5))
    assert [task_id for _, task_id in line] == [second, first]
    assert len(shop.read(lambda c: readiness.line(c, limit=1))) == 1
    assert shop.task(first).status == TaskStatus.PENDING
