"""Retry and cancel through the admin API."""

from __future__ import annotations

import json

import pytest
import redis

from tests.relay.conftest import SOON, Answer, RunningRelay, StartRelay
from tests.shop import Shop


def _post(relay: RunningRelay, path: str, **headers: str) -> Answer:
    return relay.ask(path, "POST", **{"X_Orderctl_Action": "1", **headers})


class TestActions:
    @pytest.fixture
    def relay(self, start_relay: StartRelay, migrated_url: str) -> RunningRelay:
        return start_relay("--allow-actions", database_url=migrated_url)

    def test_retry_and_cancel_are_audited_and_heard(
        self, relay: RunningRelay, shop: Shop, store: redis.Redis
    ):
        first, second = shop.paid("DH1", 2)
        order = shop.order("DH1").id
        shop.fail(first)
        listener = store.pubsub()
        listener.psubscribe("*:status")

        retried = _post(relay, f"/api/admin/tasks/{first}/retry")
        cancelled = _post(relay, f"/api/admin/tasks/{second}/cancel")

        assert retried.json["data"] == {"id": first, "status": "pending", "attempt": 1, "changed": True}
        assert cancelled.json["data"]["status"] == "cancelled"
        assert shop.event(order, "task_retried").source == "orderctl_relay"
        assert shop.event(order, "task_retried").actor == "local"
        assert shop.event(order, "task_cancelled").actor == "local"
        assert store.llen("rq:queue:orderctl") == 1
        statuses = []
        while len(statuses) < 2:
            message = listener.get_message(timeout=SOON)
            if message["type"] == "pmessage" and message["channel"].startswith(b"task:"):
                statuses.append(json.loads(message["data"])["newStatus"])
        listener.close()
        assert statuses == ["pending", "cancelled"]

    @pytest.mark.databases("sqlite")
    def test_the_same_request_twice_changes_the_task_once(self, relay: RunningRelay, shop: Shop):
        first, second = shop.paid("DH1", 2)
        shop.fail(first)

        for _ in range(2):
            retried = _post(relay, f"/api/admin/tasks/{first}/retry")
            cancelled = _post(relay, f"/api/admin/tasks/{second}/cancel")

        note = "already waiting, retried by local"
        assert retried.json["data"] == {
            "id": first, "status": "pending", "attempt": 1, "changed": False, "note": note,
        }  # fmt: skip
        assert (retried.status, cancelled.status) == (200, 409)
        types = shop.event_types("DH1")
        assert (types.count("task_retried"), types.count("task_cancelled")) == (1, 1)

    @pytest.mark.databases("sqlite")
    def test_a_task_of_the_shop_s_own_workers_is_taken_only_if_asked(self, relay: RunningRelay, shop: Shop):
        [task] = shop.paid("DH1")
        shop.fail(task)
        shop.execute("UPDATE download_tasks SET managed = 0")
        path = f"/api/admin/tasks/{task}/retry"

        refused, odd, taken = (_post(relay, f"{path}{asked}") for asked in ("", "?take=maybe", "?take=1"))

        assert [refused.status, odd.status, taken.status] == [409, 400, 200]
        assert refused.json["error"] == f"task {task} is run by the shop's own workers"
        assert shop.task(task).managed

    @pytest.mark.databases("sqlite")
    def test_what_is_not_possible_is_reported(self, relay: RunningRelay, shop: Shop):
        [task] = shop.paid("DH1")
        shop.carry_out(task)

        assert _post(relay, f"/api/admin/tasks/{task}/retry").status == 409
        assert _post(relay, "/api/admin/tasks/99/retry").status == 404
        assert _post(relay, "/api/admin/tasks/99/destroy").status == 404
        assert _post(relay, "/api/admin/orders/paid").status == 404

    @pytest.mark.databases("sqlite")
    def test_a_form_of_a_strangers_page_cannot(self, relay: RunningRelay, shop: Shop):
        [task] = shop.paid("DH1")

        without_header = relay.ask(f"/api/admin/tasks/{task}/cancel", "POST")
        stranger = _post(relay, f"/api/admin/tasks/{task}/cancel", Origin="https://evil.example")
        renamed = _post(relay, f"/api/admin/tasks/{task}/cancel", Host="evil.example")

        assert [without_header.status, stranger.status, renamed.status] == [403, 403, 421]
        assert shop.task(task).status == "pending"

    @pytest.mark.databases("sqlite")
    def test_off_unless_allowed(self, start_relay: StartRelay, migrated_url: str, shop: Shop):
        relay = start_relay(database_url=migrated_url)
        [task] = shop.paid("DH1")

        assert _post(relay, f"/api/admin/tasks/{task}/cancel").status == 405
        assert relay.ask("/api/session").json["data"]["actions"] is False
        assert shop.task(task).status == "pending"
