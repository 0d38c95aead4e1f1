"""The admin API, in the JSON shapes that the shop's dashboard reads, on every database."""

from __future__ import annotations

import http.client
import json
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import redis

from orderctl import channels, publications, statuses
from orderctl.channels import task_progress
from orderctl.payments.transfer import Transfer
from orderctl.relay.api import queries
from orderctl.states import ErrorType, Severity
from orderctl.why.chain import Link
from tests.relay.conftest import SECRET, SOON, Answer, RunningRelay, StartRelay, mint
from tests.shop import Shop

ORDERS = "/api/admin/orders/paid"
STATS = "/api/admin/dashboard/stats"


@pytest.fixture
def relay(start_relay: StartRelay, migrated_url: str) -> RunningRelay:
    """A relay that reads the shop's database."""
    return start_relay(database_url=migrated_url)


class TestOrders:
    def test_an_order_with_its_tasks_and_their_live_progress(
        self, relay: RunningRelay, shop: Shop, store: redis.Redis
    ):
        first, second, third = shop.paid("DH1", 3, amount="300000.50")
        shop.add("DH2")
        shop.carry_out(first)
        claim = shop.claimed(second)
        shop.start(claim)
        shop.fail(third, ErrorType.DISK_SPACE, "no <b>space</b>")
        publications.publish(
            store, task_progress(second), {"percent": 42.5, "currentFile": "02.mp4", "speed": 1.5e6, "seq": 1}
        )
        store.set(f"task:{third}:progress", b"junk")

        answer = relay.ask(ORDERS)

        assert answer.status == 200
        [order] = answer.json["data"]
        assert order["order_code"] == "DH1"
        assert order["total_amount"] == 300000.5
        assert order["payment_status"] == "paid"
        assert order["order_status"] == "processing"
        assert order["user_email"] == "customer@example.com"
        assert order["created_at"].endswith("Z")
        assert order["stats"] == {
            "completedTasks": 1,
            "totalTasks": 3,
            "failedTasks": 1,
            "progressPercentage": 33,
        }
        live = [(task["currentProgress"], task["currentFile"], task["speed"]) for task in order["tasks"]]
        assert live == [(100, None, None), (42.5, "02.mp4", 1.5e6), (0, None, None)]
        assert [task["status"] for task in order["tasks"]] == ["completed", "downloading", "failed"]
        assert [task["error_log"] for task in order["tasks"]] == [None, None, "DISK_SPACE: no <b>space</b>"]
        assert {"id", "title", "course_url", "drive_link"} <= set(order["tasks"][0])
        assert answer.json["pagination"] == {
            "page": 1,
            "limit": 20,
            "total": 1,
            "totalPages": 1,
            "hasMore": False,
            "nextCursor": None,
        }

    def test_an_order_says_what_it_waits_for(self, relay: RunningRelay, shop: Shop, store: redis.Redis):
        sign = {"name": "worker", "queue": "orderctl", "concurrency": 1, "started": 1, "draining": True}
        store.set(channels.supervisor("worker"), json.dumps(sign))
        shop.paid("DH1", 2)
        unpaid = shop.add("DH2")
        running = shop.paid("DH3")

        shop.claimed(*running)
        listed = {order["order_code"]: order["waiting"] for order in relay.ask(ORDERS).json["data"]}
        shown = relay.ask(f"/api/admin/orders/{unpaid}").json["data"]["waiting"]

        draining = "the workers are draining and take no more tasks"
        assert listed == {
            "DH1": {"cause": "no-worker", "text": draining, "hint": "orderctl worker start"},
            "DH3": None,  # its worker sends a heartbeat
        }
        assert shown == {
            "cause": "unpaid",
            "text": "the order is not paid",
            "hint": "orderctl orders pay DH2 --amount 300000",
        }

    def test_pages_by_number_and_by_cursor_agree(self, relay: RunningRelay, shop: Shop):
        for number in range(7):
            shop.paid(f"DH{number}")

        by_number = [relay.ask(f"{ORDERS}?page={page}&limit=3").json for page in (1, 2, 3, 4)]
        by_cursor = [relay.ask(f"{ORDERS}?limit=3").json]
        while cursor := by_cursor[-1]["pagination"]["nextCursor"]:
            by_cursor.append(relay.ask(f"{ORDERS}?limit=3&cursor={cursor}").json)

        assert [codes(page) for page in by_number] == [
            ["DH6", "DH5", "DH4"],
            ["DH3", "DH2", "DH1"],
            ["DH0"],
            [],
        ]
        assert [codes(page) for page in by_cursor] == [codes(page) for page in by_number[:3]]
        assert by_number[0]["pagination"]["total"] == 7
        assert by_number[0]["pagination"]["totalPages"] == 3

    def test_filter_and_search(self, relay: RunningRelay, shop: Shop):
        [task] = shop.paid("DH1")
        shop.carry_out(task)
        shop.paid("DH2", email="other@example.com")
        shop.add("DH3")

        def found(query: str) -> list[str]:
            return codes(relay.ask(f"{ORDERS}?{query}").json)

        assert found("status=completed") == ["DH1"]
        assert found("status=completed,pending") == ["DH2", "DH1"]
        assert found("status=all") == ["DH2", "DH1"]
        assert found("status=nonsense") == []
        assert found("search=DH1") == ["DH1"]
        assert found("search=Other%40Example.com") == ["DH2"]
        assert found("search=dh&status=completed") == ["DH1"]
        assert found("search=example.com") == ["DH2", "DH1"]
        assert found("search=DH3") == []
        assert found("search=nobody") == []
        assert relay.ask(f"{ORDERS}?search=DH1").json["pagination"]["total"] == 1
        first = relay.ask(f"{ORDERS}?search=dh&limit=1").json["pagination"]
        assert first["total"] == 2
        rest = relay.ask(f"{ORDERS}?search=dh&limit=1&cursor={first['nextCursor']}").json["pagination"]
        assert (rest["total"], rest["totalPages"]) == (None, None)  # not the number of all orders
        for written in ("completed", "COMPLETED", "Completed,completed"):
            assert found(f"status={written}") == ["DH1"]
            assert relay.ask(f"{ORDERS}?status={written}").json["pagination"]["total"] == 1

    def test_one_order_by_its_id(self, relay: RunningRelay, shop: Shop):
        shop.paid("DH1")
        shop.add("DH2", 2)
        # The code of another order is equal to this one's id.
        shop.paid(str(shop.order("DH2").id))

        answer = relay.ask(f"/api/admin/orders/{shop.order('DH2').id}")
        missing = relay.ask("/api/admin/orders/999")

        assert answer.json["data"]["order_code"] == "DH2"
        assert answer.json["data"]["payment_status"] == "pending"
        assert len(answer.json["data"]["tasks"]) == 2
        assert (missing.status, missing.json["data"]) == (404, None)

    @pytest.mark.databases("sqlite")
    @pytest.mark.parametrize(
        "query", ["page=0", "page=x", "limit=-1", "limit=1e3", "cursor=nonsense", "page=%EF%BC%91"]
    )
    def test_a_wrong_question_is_answered_with_an_error(self, relay: RunningRelay, query: str):
        answer = relay.ask(f"{ORDERS}?{query}")

        assert answer.status == 400
        assert answer.json["error"]
        assert answer.json["data"] == []

    @pytest.mark.databases("sqlite")
    def test_a_limit_is_limited(self, relay: RunningRelay):
        assert relay.ask(f"{ORDERS}?limit=99999").json["pagination"]["limit"] == 200

    @pytest.mark.databases("sqlite")
    def test_it_lives_without_redis(self, start_relay: StartRelay, migrated_url: str, shop: Shop, own_redis):
        server = own_redis()
        relay = start_relay(database_url=migrated_url, redis_url=server.url)
        shop.paid("DH1")
        server.kill()

        answer = relay.ask(ORDERS)

        assert [one["currentProgress"] for one in answer.json["data"][0]["tasks"]] == [0]


def codes(page: dict) -> list[str]:
    return [order["order_code"] for order in page["data"]]


class TestStats:
    def test_numbers(self, relay: RunningRelay, shop: Shop):
        done, failed = shop.paid("DH1", 2)
        shop.carry_out(done)
        shop.fail(failed, ErrorType.DISK_SPACE, "no <b>space</b>")
        shop.add("unpaid", 5)

        data = relay.ask(STATS).json["data"]

        assert data["orders"]["total"] == 1
        assert data["orders"]["processing"] == 0
        assert (data["orders"]["completed"], data["orders"]["failed"]) == (0, 1)
        assert data["tasks"]["total"] == 2
        assert (data["tasks"]["completed"], data["tasks"]["failed"], data["tasks"]["pending"]) == (1, 1, 0)
        assert data["connections"] == 0
        assert abs(datetime.now(UTC) - datetime.fromisoformat(data["countedAt"])) < timedelta(minutes=1)
        assert "atLeast" not in data
        assert relay.ask(f"{STATS}?bounds=1").json["data"] == data

    def test_lower_bounds_are_named(self, shop: Shop, monkeypatch: pytest.MonkeyPatch):
        for number in range(3):
            shop.paid(f"DH{number}")
        shop.execute("UPDATE orders SET order_status = 'failed'")
        monkeypatch.setattr(statuses, "COUNT_LIMIT", 1)

        data = shop.read(queries.bounds)

        assert (data["orders"]["failed"], data["orders"]["total"], data["tasks"]["total"]) == (2, 2, 2)
        assert data["atLeast"] == ["orders.failed", "orders.total", "tasks.pending", "tasks.total"]


class TestWhy:
    @pytest.mark.databases("sqlite", "mysql")
    def test_why_an_order_and_a_task_hang(self, relay: RunningRelay, shop: Shop):
        [task] = shop.paid("DH1")
        shop.fail(task, ErrorType.NOT_FOUND, "HTTP 404 Not Found from http://courses.example/one/0")
        order = shop.order("DH1").id

        data = relay.ask(f"/api/admin/orders/{order}/why").json["data"]
        of_task = relay.ask(f"/api/admin/tasks/{task}/why").json["data"]

        assert (data["subject"], of_task["subject"]) == ("order DH1", f"task {task}")
        for found in (data, of_task):
            assert (found["state"], found["link"], found["cause"]) == ("broken", "handler", "not-found")
            assert found["repair"] is None
            assert found["explanation"].endswith(f"; then: orderctl tasks retry {task}")
            assert "HTTP 404" in found["evidence"][0]
            assert [step["link"] for step in found["steps"]] == [link.value for link in Link]

    @pytest.mark.databases("sqlite")
    def test_what_does_not_exist(self, relay: RunningRelay):
        for scope in ("orders", "tasks"):
            answer = relay.ask(f"/api/admin/{scope}/999/why")
            assert (answer.status, answer.json["data"]) == (404, None)


class TestLogs:
    def test_events_newest_first_with_details(self, relay: RunningRelay, shop: Shop):
        [task] = shop.paid("DH1")
        order = shop.order("DH1").id
        shop.record(
            order,
            "download_failed",
            Severity.ERROR,
            task_id=task,
            details={"error_message": "no space", "n": 1},
        )

        logs = relay.ask(f"/api/admin/orders/{order}/logs").json["data"]["logs"]

        assert [event["event_type"] for event in logs] == [
            "download_failed",
            "payment_received",
            "task_created",
        ]
        newest = logs[0]
        assert newest["details"] == {"error_message": "no space", "n": 1}
        assert newest["task_id"] == task
        assert newest["severity"] == "error"
        assert newest["created_at"].endswith("Z")
        assert newest["course_url"] == "http://courses.example/one/0"
        assert {
            "id",
            "task_title",
            "event_category",
            "message",
            "previous_status",
            "new_status",
            "source",
        } <= set(newest)

    def test_severity_task_limit_and_what_came_before(self, relay: RunningRelay, shop: Shop):
        first, second = shop.paid("DH1", 2)
        order = shop.order("DH1").id
        shop.record(order, "one", Severity.ERROR, task_id=first)
        shop.record(order, "two", Severity.WARNING, task_id=second)

        def found(query: str) -> list[str]:
            logs = relay.ask(f"/api/admin/orders/{order}/logs?{query}").json["data"]["logs"]
            return [event["event_type"] for event in logs]

        newest = relay.ask(f"/api/admin/orders/{order}/logs?limit=1").json["data"]["logs"][0]["id"]
        assert found("severity=error") == ["one"]
        assert found("severity=error,warning") == ["two", "one"]
        assert found(f"task={second}&limit=1") == ["two"]
        assert found(f"limit=1&before={newest}") == ["one"]
        assert len(found("severity=all")) == 5

    @pytest.mark.databases("sqlite")
    @pytest.mark.parametrize("order", [99, 2**63, 10**19 - 1])
    def test_an_unknown_order(self, relay: RunningRelay, order: int):
        answer = relay.ask(f"/api/admin/orders/{order}/logs")
        whole = relay.ask(f"/api/admin/orders/{order}")

        assert (answer.status, answer.json["data"]) == (404, {"logs": []})
        assert (whole.status, whole.json["data"]) == (404, None)

    @pytest.mark.databases("sqlite")
    def test_details_of_others_may_be_anything(self, relay: RunningRelay, shop: Shop):
        shop.paid("DH1")
        order = shop.order("DH1").id
        for number, details in enumerate(('"text"', "[1]", "NaN", "{", "null")):
            shop.record(order, f"e{number}")
            shop.execute(
                "UPDATE order_audit_logs SET details=:d WHERE event_type=:e", d=details, e=f"e{number}"
            )

        answer = relay.ask(f"/api/admin/orders/{order}/logs?limit=5")

        assert answer.status == 200
        logs = json.loads(answer.body, parse_constant=pytest.fail)["data"]["logs"]
        assert all(event["details"] is None or isinstance(event["details"], dict) for event in logs)


class TestErrors:
    def test_failures_by_fingerprint(self, relay: RunningRelay, shop: Shop):
        failed = [shop.paid(f"DH{number}")[0] for number in range(3)]
        for number, task in enumerate(failed):
            shop.fail(task, ErrorType.DISK_SPACE, "no <b>space</b>", fingerprint="abc" if number else "xyz")

        groups = relay.ask("/api/admin/errors").json["data"]

        assert [(group["fingerprint"], group["count"]) for group in groups] == [("abc", 2), ("xyz", 1)]
        assert groups[0]["error_type"] == "DISK_SPACE"
        assert groups[0]["example"] == "DISK_SPACE: no <b>space</b>"
        newest = shop.order("DH2")
        assert groups[0]["latest_task_id"] == failed[2]
        assert (groups[0]["latest_order_id"], groups[0]["latest_order_code"]) == (newest.id, "DH2")
        assert groups[0]["latest_at"].endswith("Z")


class TestPayments:
    def test_those_that_wait_newest_first_in_pages_with_their_numbers(self, relay: RunningRelay, shop: Shop):
        shop.add("DH1")
        shop.add("DH2")
        for number, (code, amount) in enumerate([("DH1", 300_000), ("DH2", "1.5"), ("DH9", 5), ("DH1", 7)]):
            raw = {"content": "not-for-pages"}
            shop.receive(
                Transfer("sepay", Decimal(amount), provider_id=f"S{number}", code=code, bank="ACB", raw=raw)
            )

        first = relay.ask("/api/admin/payments?open=1&limit=2")
        rest = relay.ask(f"/api/admin/payments?open=1&before={first.json['data']['before']}").json["data"]
        every = relay.ask("/api/admin/payments").json["data"]

        assert first.json["data"]["waiting"] == {"unmatched": 1, "mismatch": 1, "surplus": 1}
        found = first.json["data"]["payments"]
        assert [(one["id"], one["outcome"], one["order_code"]) for one in found] == [
            (4, "surplus", "DH1"),
            (3, "unmatched", None),
        ]
        assert ([one["id"] for one in rest["payments"]], rest["before"]) == ([2], None)
        mismatch = rest["payments"][0]
        assert (mismatch["amount"], mismatch["provider_id"], mismatch["bank"]) == (1.5, "S1", "ACB")
        assert mismatch["told_at"].endswith("Z")
        assert mismatch["reason"].startswith("1.5 was transferred, the order costs 300000")
        assert [one["id"] for one in every["payments"]] == [4, 3, 2, 1]
        assert b"not-for-pages" not in first.body

    def test_an_order_has_its_payments_and_the_shop_s_page_of_orders_does_not(
        self, relay: RunningRelay, shop: Shop
    ):
        shop.paid("DH1")
        shop.pay("DH1", transaction="FT1")

        order = relay.ask(f"/api/admin/orders/{shop.order('DH1').id}").json["data"]
        [listed] = relay.ask(ORDERS).json["data"]

        assert [(one["outcome"], one["amount"]) for one in order["payments"]] == [
            ("paid", 300_000),
            ("surplus", 300_000),
        ]
        assert set(order) - set(listed) == {"payments"}

    @pytest.mark.databases("sqlite")
    @pytest.mark.parametrize("query", ["open=yes", "limit=0", "before=x", "before=-1"])
    def test_a_wrong_question_is_answered_with_an_error(self, relay: RunningRelay, query: str):
        answer = relay.ask(f"/api/admin/payments?{query}")

        assert (answer.status, answer.json["data"]["payments"]) == (400, [])
        assert query.partition("=")[0] in answer.json["error"]

    @pytest.mark.databases("sqlite")
    def test_they_are_for_admins(self, start_relay: StartRelay, migrated_url: str, shop: Shop):
        order = shop.add("DH1")
        relay = start_relay(database_url=migrated_url, relay_token_secret=SECRET)
        customer = mint(f"order:{order}")

        answer = relay.ask("/api/admin/payments?open=1", Authorization=f"Bearer {customer}")

        assert (answer.status, relay.ask("/api/admin/payments").status) == (403, 401)
        waiting = {"unmatched": 0, "mismatch": 0, "surplus": 0}
        assert answer.json["data"] == {"payments": [], "waiting": waiting, "before": None}


class TestTroubles:
    @pytest.mark.databases("sqlite")
    @pytest.mark.parametrize(
        ("path", "data"),
        [
            (ORDERS, []),
            ("/api/admin/orders/1", None),
            ("/api/admin/orders/1/logs", {"logs": []}),
            ("/api/admin/errors", []),
            (
                "/api/admin/payments?open=1",
                {"payments": [], "waiting": {"unmatched": 0, "mismatch": 0, "surplus": 0}, "before": None},
            ),
        ],
    )
    def test_an_unmigrated_database_is_answered_in_the_right_shape(
        self, start_relay: StartRelay, tmp_path, path: str, data: object
    ):
        (tmp_path / "new.db").touch()
        relay = start_relay(database_url=f"sqlite:///{tmp_path / 'new.db'}")

        answer = relay.ask(path)

        assert answer.status == 503
        assert answer.json["data"] == data
        assert "not migrated" in answer.json["error"]
        assert answer.json["error"].endswith("hint: orderctl migrate up")
        assert relay.ask(STATS).status == 503
        assert relay.ask(STATS).json["data"]["orders"]["total"] == 0

    @pytest.mark.databases("sqlite")
    def test_a_missing_database_is_not_created(self, start_relay: StartRelay, tmp_path):
        relay = start_relay(database_url=f"sqlite:///{tmp_path / 'new.db'}")

        answer = relay.ask(ORDERS)

        assert answer.status == 503
        assert f"no database at {tmp_path / 'new.db'}" in answer.json["error"]
        assert not (tmp_path / "new.db").exists()

    @pytest.mark.databases("sqlite")
    def test_a_dead_database_is_answered_in_the_right_shape(self, start_relay: StartRelay):
        relay = start_relay(database_url="mysql://nobody@127.0.0.1:1/none")

        for path in (ORDERS, STATS, "/api/admin/orders/1/logs"):
            answer = relay.ask(path)
            assert answer.status == 503
            assert "data" in answer.json
            assert answer.json["error"]

    @pytest.mark.databases("mariadb")
    def test_a_hung_database_costs_5_seconds_and_delays_no_other_request(
        self, relay: RunningRelay, database_server
    ):
        assert relay.ask(ORDERS).status == 200
        database_server.pause()
        answers: list[Answer] = []
        asking = [threading.Thread(target=lambda: answers.append(relay.ask(ORDERS))) for _ in range(6)]
        for one in asking:
            one.start()
        assert relay.ask("/healthz").status == 200
        for one in asking:
            one.join()

        assert [answer.status for answer in answers] == [503] * 6
        assert all(answer.json["data"] == [] for answer in answers)
        assert all("within 5 s" in answer.json["error"] for answer in answers), (
            "the relay, not the database's driver"
        )
        assert relay.stop() == 0

    @pytest.mark.databases("sqlite")
    def test_what_is_not_there(self, relay: RunningRelay):
        assert relay.ask("/api/nothing").status == 404
        assert relay.ask("/api/admin/orders/0/logs").status == 404
        assert relay.ask("/nothing").status == 404

    @pytest.mark.databases("sqlite")
    def test_head_has_the_headers_and_no_body(self, relay: RunningRelay):
        answer = relay.ask(ORDERS, "HEAD")

        assert answer.status == 200
        assert int(answer.headers["Content-Length"]) > 10
        assert answer.body == b""

    @pytest.mark.databases("sqlite")
    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "POST", "TRACE", "x"])
    def test_other_methods_are_refused(self, relay: RunningRelay, method: str):
        answer = relay.ask(ORDERS, method)

        assert answer.status == 405
        assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"

    @pytest.mark.databases("sqlite")
    def test_a_request_with_a_body_is_answered_and_the_next_one_too(self, relay: RunningRelay):
        connection = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=SOON)
        statuses = []
        for method, body in (("POST", b"{}"), ("GET", b"{}"), ("GET", iter([b"{", b"}"])), ("GET", None)):
            connection.request(method, ORDERS, body=body)
            with connection.getresponse() as answer:
                statuses.append((answer.status, "data" in json.load(answer)))
        connection.close()

        assert statuses == [(405, True), (200, True), (200, True), (200, True)]


def _post(relay: RunningRelay, path: str, **headers: str) -> Answer:
    return relay.ask(path, "POST", **{"X_Orderctl_Action": "1", **headers})


@pytest.mark.databases("sqlite")
def test_counts_are_believed_for_a_while(relay: RunningRelay, shop: Shop):
    shop.paid("DH1")
    before = relay.ask(STATS).json["data"]["orders"]["total"]
    shop.paid("DH2")

    assert before == relay.ask(STATS).json["data"]["orders"]["total"] == 1


@pytest.mark.databases("sqlite")
def test_a_writer_does_not_hold_up_readers(relay: RunningRelay, shop: Shop, migrated_url: str):
    shop.paid("DH1")
    with sqlite3.connect(migrated_url.removeprefix("sqlite:///"), isolation_level=None) as writer:
        writer.execute("BEGIN IMMEDIATE")
        answer = relay.ask(ORDERS)
        writer.execute("ROLLBACK")
    writer.close()

    assert codes(answer.json) == ["DH1"]


class TestOddValues:
    NUMBERS = (
        "0",
        "-1",
        "1e3",
        str(2**63),
        str(2**64 - 1),
        "9" * 19,
        "9" * 30,
        "9" * 5000,
        "%D9%A3",
        "nan",
        "",
    )
    CURSORS = (
        "x",
        "%ED%A0%80",
        "%00",
        f"00010101T000000000000-{'9' * 30}",
        f"99991231T235959999999-{'9' * 4000}",
    )

    def test_no_value_is_an_internal_error(self, relay: RunningRelay, shop: Shop):
        shop.paid("DH1")
        paths = [f"/api/admin/orders/{number}{logs}" for number in self.NUMBERS for logs in ("", "/logs")]
        paths += [f"{ORDERS}?{name}={number}" for name in ("limit", "page") for number in self.NUMBERS]
        paths += [
            f"{ORDERS}?{name}={text}" for name in ("cursor", "status", "search") for text in self.CURSORS
        ]
        paths += [
            f"/api/admin/orders/1/logs?{name}={number}"
            for name in ("task", "before", "limit", "severity")
            for number in self.NUMBERS
        ]
        paths += [f"/api/admin/errors?limit={number}" for number in self.NUMBERS]
        paths += [
            f"/api/admin/payments?{name}={number}" for name in ("before", "limit") for number in self.NUMBERS
        ]

        answers = {path: relay.ask(path) for path in paths}

        assert {path[:80]: answer.status for path, answer in answers.items() if answer.status >= 500} == {}
        assert all("internal" not in str(answer.json.get("error")) for answer in answers.values())
