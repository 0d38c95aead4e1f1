"""Operations go by the database's clock, keep their lease while they are carried out, and are given back."""

from functools import partial
from typing import Any

import pytest

from orderctl import database, settings
from orderctl.operations import carrying, reading
from orderctl.operations.carrying import Held
from orderctl.operations.rates import Rate
from orderctl.operations.records import LEASE_SECONDS, State
from orderctl.worker import operator
from orderctl.worker.heartbeat import StopRequest
from tests.operations.conftest import Bulk

pytestmark = pytest.mark.databases("sqlite")


def test_the_machines_clock_is_none_of_the_paces(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    bulk.failed(9)
    bulk.make(rate=Rate.parse("60/h"))
    bulk.turn()
    monkeypatch.setattr(reading, "_NOW", database.utc_now(3600))  # as if that of the database were ahead

    bulk.turn(3)

    assert sum(bulk.retries().values()) == 2


def test_a_canary_whose_tasks_are_deleted_stops_the_operation(bulk: Bulk) -> None:
    ids = bulk.failed(4)
    made = bulk.make(canary=2)
    bulk.turn()
    bulk.shop.soft_delete("download_tasks", ids[0])
    bulk.shop.execute(f"DELETE FROM order_audit_logs WHERE task_id = {ids[1]}")
    bulk.shop.execute(f"DELETE FROM download_tasks WHERE id = {ids[1]}")

    bulk.turn(3)

    assert bulk.now().state == State.STOPPED
    assert bulk.states(made) == ["cancelled", "cancelled", "waiting", "waiting"]
    assert {item.note for item in bulk.items(made).values()} == {"deleted", None}


def test_who_carries_out_renews_the_lease(bulk: Bulk) -> None:
    bulk.failed(2)
    made = bulk.make(rate=Rate.parse("1/h"))
    bulk.turn()
    bulk.write(lease_until=database.utc_now(1))

    bulk.shop.transact(partial(carrying.carry, held=Held(made.id, bulk.turns._token)))

    now = bulk.now()
    assert now.lease_until is not None
    assert (now.lease_until - now.now).total_seconds() > LEASE_SECONDS - 1


def test_the_operator_gives_its_operations_back_when_it_is_stopped(
    bulk: Bulk, migrated_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bulk.failed(2)
    bulk.make(rate=Rate.parse("1/h"))
    stop, take = StopRequest(), operator.take

    def take_one(*arguments: Any) -> None:
        take(*arguments)
        assert bulk.now().lease_token is not None
        stop.made = True

    monkeypatch.setattr(operator.rounds, "stop_on_sigterm", lambda: stop)
    monkeypatch.setattr(operator, "take", take_one)

    operator.operate(settings.load({"database.url": migrated_url, "redis.url": redis_url}))

    assert (bulk.now().changed, bulk.now().lease_token) == (1, None)
