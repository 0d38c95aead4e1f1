"""``orderctl orders``."""

import json
import threading
from decimal import Decimal
from typing import Any

import pytest
import redis

from orderctl import statuses
from orderctl.cli.conditions import Condition
from orderctl.errors import InvalidInput
from tests.cli.conftest import Program
from tests.shop import Shop

URL = "https://example.com/a.zip"
ONE_KIND = pytest.mark.databases("sqlite")


def queued(url: str) -> set[str]:
    return {name.decode() for name in redis.from_url(url).lrange("rq:queue:orderctl", 0, -1)}


def test_an_order_is_added_paid_and_shown(shop: Shop, inside: Program, redis_url):
    added = inside(
        "orders",
        "add",
        "--code",
        "DH1",
        "--email",
        "A@B.VN",
        "--amount",
        "300,000",
        "--course",
        URL,
        "--course",
        URL + "?2",
    )
    paid = inside("orders", "pay", "DH1", "--amount", "300000", "--bank", "ACB", "--transaction", "FT1")
    shown = json.loads(inside("orders", "show", "DH1", "-o", "json").out)

    assert (added.status, paid.status) == (0, 0)
    assert "next: orderctl orders pay DH1 --amount 300000\n" in added.err
    assert paid.out == ""
    assert shown["payment_status"] == "paid"
    assert shown["total_amount"] == 300000
    assert shown["user_email"] == "a@b.vn"
    assert [task["status"] for task in shown["tasks"]] == ["pending", "pending"]
    assert [event["event_type"] for event in shown["events"]] == [
        "task_created",
        "task_created",
        "payment_received",
    ]
    assert shown["events"][2]["details"] == {"amount": 300000, "bank": "ACB", "transactionId": "FT1"}
    assert queued(redis_url) == {f"task-{task['id']}-0" for task in shown["tasks"]}


def test_the_list_has_the_promised_keys_and_is_quiet(shop: Shop, inside: Program):
    shop.add("DH1", 2)
    shop.paid("DH2", 2)

    ended = inside("orders", "list", "-o", "json")

    rows = json.loads(ended.out)
    assert ended.err == ""
    assert [row["order_code"] for row in rows] == ["DH2", "DH1"]
    assert {
        "id", "order_code", "user_email", "order_status", "payment_status", "total_amount", "created_at",
        "total_tasks", "completed_tasks", "failed_tasks", "progress_percentage",
    } <= set(rows[0])  # fmt: skip
    assert rows[0]["created_at"].endswith("Z")


@ONE_KIND
def test_pages_follow_their_cursor(shop: Shop, inside: Program):
    for number in range(5):
        shop.paid(f"DH{number}", 1)

    seen, after = [], []
    while True:
        ended = inside("orders", "list", "-L", "2", "-o", "name", *after)
        seen += ended.out.split()
        if not ended.err:
            break
        after = ended.err.removeprefix("next page: ").split()

    assert seen == ["DH4", "DH3", "DH2", "DH1", "DH0"]


@ONE_KIND
def test_the_list_is_narrowed(shop: Shop, inside: Program):
    shop.add("NEW", 2)
    shop.paid("DONE", 1, email="else@b.vn")
    shop.carry_out(3)

    def names(*options: str) -> list[str]:
        return inside("orders", "list", "-o", "name", *options).out.split()

    assert names("--paid") == ["DONE"]
    assert names("--email", "ELSE@b.vn") == ["DONE"]
    assert names("--status", "pending,failed") == ["NEW"]
    assert names("--since", "1h") == ["DONE", "NEW"]
    assert names("--until", "1h") == []
    assert names("--stale", "1h") == []


@ONE_KIND
def test_watching_needs_a_terminal(shop: Shop, inside: Program):
    ended = inside("orders", "list", "--watch")

    assert ended.status == 2
    assert "needs a terminal" in ended.err


@ONE_KIND
def test_the_hierarchy_is_drawn(shop: Shop, inside: Program):
    shop.paid("DH1", 2, titled=True)
    shop.fail(2, message="evil \x1b[2J log")

    out = inside("orders", "show", "DH1").out

    assert out.startswith("DH1  processing  paid  300,000  customer@example.com  0 of 2 tasks (0 %)")
    assert "├─ task 1  pending  Course 1\n│  └─ " in out
    assert "├─ task 2  failed  Course 2  attempt 1 of 3\n│  NETWORK: evil \\x1b[2J log\n" in out
    assert out.splitlines()[-1].startswith("└─ ")
    assert "payment_received" in out.splitlines()[-1]


@ONE_KIND
def test_the_timeline_has_the_events_oldest_first(shop: Shop, inside: Program):
    shop.paid("DH1", 1)

    lines = inside(
        "orders", "show", "DH1", "--timeline", "-o", "csv", "--fields", "event_type"
    ).out.splitlines()

    assert lines == ["event_type", "task_created", "payment_received"]


@ONE_KIND
def test_an_order_is_found_by_code_before_id(shop: Shop, inside: Program):
    shop.paid("2", 2)
    shop.paid("DH2", 2)

    assert json.loads(inside("orders", "show", "2", "-o", "json").out)["order_code"] == "2"
    assert json.loads(inside("orders", "show", "1", "-o", "json").out)["order_code"] == "2"


def test_stats_count(shop: Shop, inside: Program):
    shop.paid("DH1", 2)
    shop.paid("DH2", 1)
    shop.carry_out(3)

    counted = json.loads(inside("orders", "stats", "-o", "json").out)
    exact = json.loads(inside("orders", "stats", "--exact", "-o", "json").out)
    rows = [json.loads(line) for line in inside("orders", "stats", "-o", "jsonl").out.splitlines()]

    assert counted == exact
    assert counted["orders"]["completed"] == 1
    assert counted["tasks"] == {
        "pending": 2,
        "enrolled": 0,
        "downloading": 0,
        "completed": 1,
        "failed": 0,
        "cancelled": 0,
    }
    assert {"scope": "tasks", "status": "completed", "count": 1} in rows


@ONE_KIND
@pytest.mark.parametrize(
    ("condition", "status"),
    [("pending>0", 1), ("pending > 1", 0), ("tasks.total==2", 1), ("Failed>=1", 0), ("total!=1", 0)],
)
def test_stats_fail_if(condition, status, shop: Shop, inside: Program):
    shop.paid("DH1", 2)

    ended = inside("orders", "stats", "--fail-if", condition)

    assert ended.status == status
    assert ended.err.startswith("orderctl: condition met: ") is bool(status)
    assert ("pending" in ended.out) is bool(status)


@ONE_KIND
@pytest.mark.parametrize("form", ["table", "json", "name"])
def test_fail_if_prints_nothing_when_no_condition_is_met(form, shop: Shop, inside: Program):
    shop.paid("DH1", 2)

    ended = inside("orders", "stats", "--fail-if", "failed>0", "--fail-if", "tasks.pending>5", "-o", form)

    assert (ended.status, ended.out, ended.err) == (0, "", "")


@pytest.mark.parametrize(
    "text", ["", "failed", "failed>", "no pe>1", "tasks.>1", "failed>-1", "failed>1.5", "a.failed>1"]
)
def test_a_text_that_is_not_a_condition_is_refused(text):
    with pytest.raises(InvalidInput, match="is not a valid condition: a status, an operator and a number"):
        Condition.parse(text)


@pytest.mark.parametrize(
    ("text", "explained"),
    [
        ("failed>5", "failed is 7 (> 5)"),
        ("Total >= 9", "total is 9 (>= 9)"),
        ("orders.failed=7", "failed is 7 (= 7)"),
        ("tasks.failed<100", "tasks.failed is 0 (< 100)"),
    ],
)
def test_a_condition_that_is_met_is_explained(text, explained):
    condition = Condition.parse(text)
    counts = {"orders": {"failed": 7, "pending": 2}, "tasks": {}}

    assert condition.is_met(counts)
    assert condition.explain(counts) == explained


def test_a_lower_bound_is_explained_as_one():
    counts = {"orders": {"failed": 10_001, "pending": 0}, "tasks": {}}

    assert Condition.parse("failed>5").explain(counts, {"orders.failed"}) == "failed is at least 10001 (> 5)"
    assert Condition.parse("total>5").explain(counts, {"orders.pending"}) == "total is at least 10001 (> 5)"
    assert Condition.parse("failed>5").explain(counts, {"orders.pending"}) == "failed is 10001 (> 5)"


@pytest.mark.parametrize("operator", [">", ">=", "<", "<=", "=", "==", "!="])
@pytest.mark.parametrize("limit", [6, 7, 8])
def test_a_lower_bound_decides_what_is_true_of_every_higher_number(operator, limit):
    condition = Condition.parse(f"tasks.pending{operator}{limit}")
    possible = {condition.is_met({"orders": {}, "tasks": {"pending": number}}) for number in range(7, 20)}

    decided = condition.is_met({"orders": {}, "tasks": {"pending": 7}}, {"tasks.pending"})

    assert decided == (possible.pop() if len(possible) == 1 else None)


@ONE_KIND
@pytest.mark.parametrize(("condition", "status"), [("failed>1", 1), ("failed<4", 1), ("failed>=3", 1)])
def test_what_lower_bounds_do_not_decide_is_counted(
    condition, status, shop: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch
):
    for number in range(3):
        shop.paid(f"DH{number}")
    shop.execute("UPDATE orders SET order_status = 'failed'")
    monkeypatch.setattr(statuses, "COUNT_LIMIT", 1)

    ended = inside("orders", "stats", "--fail-if", condition, "-o", "json")
    counted = json.loads(ended.out)

    assert ended.status == status
    assert (counted["orders"]["failed"], counted["capped"]) == (
        (1, True) if condition == "failed>1" else (3, False)
    )


@ONE_KIND
def test_lower_bounds_are_shown_as_such(shop: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch):
    for number in range(3):
        shop.paid(f"DH{number}")
    shop.execute("UPDATE orders SET order_status = 'failed'")
    monkeypatch.setattr(statuses, "COUNT_LIMIT", 2)

    rows = [json.loads(line) for line in inside("orders", "stats", "-o", "jsonl").out.splitlines()]
    document = json.loads(inside("orders", "stats", "-o", "json").out)

    assert {"scope": "orders", "status": "failed", "count": "2+"} in rows
    assert {"scope": "tasks", "status": "completed", "count": 0} in rows
    assert (document["orders"]["failed"], document["tasks"]["pending"]) == (2, 2)
    assert (document["capped"], document["at_least"]) == (True, ["orders.failed", "tasks.pending"])


@ONE_KIND
def test_waiting_ends_with_the_order(shop: Shop, inside: Program):
    shop.paid("DH1", 1)
    threading.Timer(0.3, shop.carry_out, [1]).start()

    ended = inside("orders", "wait", "DH1", "--timeout", "120s", "-o", "json")

    assert ended.status == 0
    assert json.loads(ended.out)[0]["order_status"] == "completed"


@ONE_KIND
def test_waiting_fails_times_out_or_succeeds(shop: Shop, inside: Program):
    shop.paid("DH1", 1)

    assert inside("orders", "wait", "DH1", "--timeout", "0").status == 124
    assert inside("orders", "wait", "DH1", "--for", "pending,processing").status == 0
    inside("tasks", "cancel", "1")
    assert inside("orders", "wait", "DH1").status == 1
    assert inside("orders", "wait", "DH1", "--for", "cancelled").status == 0
    assert inside("orders", "wait", "NOPE").status == 3


@ONE_KIND
def test_orders_come_from_json_all_or_none(shop: Shop, orderctl: Program):
    one = {
        "order_code": "J1",
        "user_email": "a@b.vn",
        "total_amount": 12.5,
        "courses": [URL, {"url": URL, "title": "T"}],
    }

    good = orderctl(
        "orders", "add", "--json", "-", "-o", "name", input=json.dumps([one, one | {"order_code": "J2"}])
    )
    clash = orderctl("orders", "add", "--json", "-", input=json.dumps([one | {"order_code": "J3"}, one]))

    assert (good.status, good.out) == (0, "J1\nJ2\n")
    assert shop.order("J1").total_amount == Decimal("12.50")
    assert [event.message for event in shop.events("J1")][1] == "Task created: T"
    assert clash.status == 4
    assert orderctl("orders", "show", "J3").status == 3


@ONE_KIND
@pytest.mark.parametrize(
    "document",
    ["", "nope", "[]", "7", "[7]", "{}", '{"order_code": 7}', '{"order_code":"A","user_email":"a@b.vn","total_amount":true,"courses":[]}',
     '{"order_code":"A","user_email":"a@b.vn","total_amount":1,"courses":[7]}', '{"order_code":"A","user_email":"a@b.vn","total_amount":"x","courses":["http://x"]}',
     '{"order_code":"A","user_email":"a@b.vn","total_amount":1,"courses":[{"title":"x"}]}', "[" * 100_000],
)  # fmt: skip
def test_a_wrong_document_is_a_usage_error(document, shop: Shop, inside: Program, tmp_path):
    file = tmp_path / "document.json"
    file.write_text(document)

    for command in ("add", "pay"):
        ended = inside("orders", command, "--json", str(file))

        assert (ended.status, ended.out) == (2, "")
        assert ended.err.startswith("orderctl: ")


@ONE_KIND
def test_a_wrong_document_from_a_pipe_is_a_usage_error(shop: Shop, orderctl: Program):
    for command in ("add", "pay"):
        ended = orderctl("orders", command, "--json", "-", input="nope")

        assert ended.status == 2
        assert ended.err.startswith("orderctl: ")


@ONE_KIND
@pytest.mark.parametrize(
    "arguments",
    [
        ["--code", "A", "--email", "a@b.vn", "--amount", "1"],
        ["--code", "A", "--email", "nope", "--amount", "1", "--course", URL],
        ["--code", "A", "--email", "a@b.vn", "--amount", "1", "--course", "ftp://x"],
        ["--code", "A", "--email", "a@b.vn", "--amount", "1", "--course", "http://"],
        ["--code", "A", "--email", "a@b.vn", "--amount", "1", "--course", URL, "--course", "http:///a.zip"],
        ["--code", "A", "--email", "a@b.vn", "--amount", "1", "--course", "https://x:99999/a.zip"],
        ["--code", "A", "--email", "a@b.vn", "--amount", "1", "--course", "https://[::1/a.zip"],
        ["--code", "A", "--email", "a@b.vn", "--amount", "1e99", "--course", URL],
        ["--code", "A", "--email", "a@b.vn", "--amount", "NaN", "--course", URL],
        ["--code", "A B", "--email", "a@b.vn", "--amount", "1", "--course", URL],
        ["--code", "A", "--email", "a@b.vn", "--amount", "x", "--course", URL],
        [],
    ],
)
def test_wrong_orders_are_usage_errors(arguments, shop: Shop, inside: Program):
    ended = inside("orders", "add", *arguments)

    assert ended.status == 2
    assert "hint: " in ended.err or "orderctl: " in ended.err


@ONE_KIND
@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]", "192.168.1.9"])
def test_a_course_on_a_private_host_is_warned_about(host, shop: Shop, inside: Program, monkeypatch):
    add = (
        "orders",
        "add",
        "--email",
        "a@b.vn",
        "--amount",
        "1",
        "--course",
        f"http://{host}/a.zip",
        "--code",
    )

    warned = inside(*add, "A")
    monkeypatch.setenv("ORDERCTL_DOWNLOAD_ALLOW_PRIVATE_HOSTS", "1")
    allowed = inside(*add, "B")
    monkeypatch.setenv("ORDERCTL_DOWNLOAD_ALLOW_PRIVATE_HOSTS", "0")
    monkeypatch.setenv("ORDERCTL_WORKER_HANDLER", "shelf")
    others = inside(*add, "C")

    assert (warned.status, allowed.status, others.status) == (0, 0, 0)
    assert "is not a public address" in warned.err
    assert "set download.allow_private_hosts = true and start the workers again" in warned.err
    assert "warning" not in allowed.err + others.err


@ONE_KIND
def test_an_address_that_mail_cannot_carry_is_refused_in_one_line(shop: Shop, orderctl: Program):
    order = {"order_code": "A", "user_email": "a@b.c,d@e.f", "total_amount": 1, "courses": [URL]}
    options = ["--code", "A", "--email", "a@b.c,d@e.f", "--amount", "1", "--course", URL]

    for ended in (
        orderctl("orders", "add", *options),
        orderctl("orders", "add", "--json", "-", "-o", "json", input=json.dumps(order)),
    ):
        assert (ended.status, ended.out) == (2, "")
        assert ended.err.startswith("orderctl: 'a@b.c,d@e.f' is not a valid e-mail address: ")
        assert ended.err.count("\n") == 1


def test_an_address_beyond_ascii_is_stored_as_it_was_given_and_found(shop: Shop, inside: Program):
    ended = inside(
        "orders", "add", "--code", "A", "--email", " Jürgen@Müller.DE ", "--amount", "1", "--course", URL
    )

    assert ended.status == 0
    assert shop.order("A").user_email == "jürgen@müller.de"
    assert inside("orders", "list", "--email", "JÜRGEN@müller.de", "-o", "name").out == "A\n"


def test_payments_are_recorded_once(shop: Shop, inside: Program, orderctl: Program):
    shop.add("DH1", 2)
    webhook = json.dumps({"code": "DH1", "transferAmount": 300000, "bankName": "ACB", "id": 7})

    wrong = inside("orders", "pay", "DH1", "--amount", "1")
    first = orderctl("orders", "pay", "--json", "-", input=webhook)
    again = orderctl("orders", "pay", "--json", "-", input=webhook)
    other = inside("orders", "pay", "DH1", "--amount", "300000", "--transaction", "8")

    assert [ended.status for ended in (wrong, first, again, other)] == [1, 0, 0, 4]
    assert wrong.err == (
        "orderctl: order DH1 stays unpaid: 1 was transferred, the order costs 300000: 299999 is missing; the payment is kept"
        " with id 1\nhint: orderctl payments match 1 DH1 --reason WHY\n"
    )
    assert "was recorded before" in again.err
    kinds = [event.event_type for event in shop.events("DH1")]
    assert kinds == [
        "task_created",
        "task_created",
        "payment_mismatch",
        "payment_received",
        "payment_surplus",
    ]
    assert "@" in shop.events("DH1")[3].actor


@ONE_KIND
def test_a_payment_counts_although_redis_is_away(shop: Shop, inside: Program, monkeypatch):
    shop.add("DH1", 2)
    monkeypatch.setenv("ORDERCTL_REDIS_URL", "redis://127.0.0.1:1/0")

    ended = inside("orders", "pay", "DH1", "--amount", "300000")

    assert ended.status == 0
    assert ended.err.startswith("warning: ")
    assert shop.order("DH1").payment_status == "paid"


@ONE_KIND
@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "--code", "DH9"),
        ("add", "--email", "a@b.vn"),
        ("add", "--amount", "1"),
        ("add", "--course", "https://example.com/a.zip"),
        ("pay", "DH1"),
        ("pay", "--amount", "1"),
        ("pay", "--bank", "ACB"),
        ("pay", "--transaction", "T1"),
    ],
)
def test_options_beside_a_document_are_refused(arguments, shop: Shop, inside: Program, tmp_path):
    """They would be ignored, and another order than the named one would be paid."""
    shop.add("DH1", 1)
    file = tmp_path / "payment.json"
    file.write_text('{"code": "DH1", "transferAmount": 300000, "id": 7}')

    ended = inside("orders", *arguments, "--json", str(file))

    assert ended.status == 2
    assert "--json and" in ended.err
    assert shop.order("DH1").payment_status == "pending"


def test_an_order_that_the_shop_has_deleted_is_shown_with_deleted_only(shop: Shop, inside: Program):
    shop.paid("DH1")
    shop.paid("DH2")
    shop.record(1, severity="error")
    shop.soft_delete("orders", 1)

    def told(*arguments: str) -> Any:
        return json.loads(inside(*arguments, "-o", "json").out)

    assert [order["order_code"] for order in told("orders", "list")] == ["DH2"]
    assert [order["order_code"] for order in told("orders", "list", "--deleted")] == ["DH1"]
    assert told("logs", "errors") == []
    for command in (["orders", "show"], ["logs", "show"], ["orders", "wait"], ["tail", "order"]):
        ended = inside(*command, "DH1")
        assert (ended.status, ended.err) == (
            3,
            "orderctl: the shop has deleted order 'DH1'\nhint: orderctl orders show --deleted DH1\n",
        )
    assert "deleted by the shop" in inside("orders", "show", "DH1", "--deleted").out
    assert inside("orders", "show", "DH2", "--deleted").status == 3
    ended = inside("orders", "pay", "DH1", "--amount", "300000", "--transaction", "FT2")
    assert ended.status == 4


@ONE_KIND
def test_a_payment_is_saved_although_redis_refuses_to_wake_a_worker(
    shop: Shop, inside: Program, own_redis, monkeypatch
):
    server = own_redis()
    with redis.Redis(port=server.port) as admin:
        admin.execute_command(
            "ACL", "SETUSER", "u", "on", ">p", "+@all", "-eval", "-evalsha", "~*", "&task:*"
        )
    monkeypatch.setenv("ORDERCTL_REDIS_URL", f"redis://u:p@127.0.0.1:{server.port}/0")
    shop.add("DH1", 2)

    ended = inside("orders", "pay", "DH1", "--amount", "300000")

    assert ended.status == 78
    assert "Order DH1 is paid." in ended.err
    assert "commands EVAL, EVALSHA; channels order:*; the change is saved" in ended.err
    assert f"hint: redis-cli -p {server.port} ACL SETUSER u" in ended.err
    assert shop.order("DH1").payment_status == "paid"
    assert inside("worker", "start", "--burst").status == 78
    assert inside("tail", "all", "--timeout", "9s").status == 78


@ONE_KIND
def test_a_queue_whose_name_another_program_uses_for_something_else_is_a_wrong_setting(
    shop: Shop, inside: Program, redis_url
):
    with redis.Redis.from_url(redis_url) as client:
        client.set("rq:queue:orderctl", "another program's")
    shop.add("DH1")

    ended = inside("orders", "pay", "DH1", "--amount", "300000")

    assert ended.status == 78
    assert "another program uses the name of a key of orderctl's" in ended.err
    assert "hint: set redis.prefix or worker.queue" in ended.err
    assert shop.order("DH1").payment_status == "paid"
    assert inside("reconcile").status == 78


@pytest.mark.databases("sqlite")
class TestCancel:
    def test_one_order_is_cancelled_and_its_money_named(self, shop: Shop, inside: Program):
        shop.paid("DH1", 2)

        dry = inside("orders", "cancel", "DH1", "--dry-run", "-o", "json")
        ended = inside("orders", "cancel", "DH1", "--reason", "withdrawn", "-o", "json")
        again = inside("orders", "cancel", "DH1")

        assert dry.err == "payment: paid; refund by the shop\nWould cancel 1 order; nothing was changed.\n"
        assert [json.loads(one.out)[0]["cancelled_tasks"] for one in (dry, ended)] == [2, 2]
        assert [json.loads(one.out)[0]["changed"] for one in (dry, ended)] == [False, True]
        assert (ended.status, ended.err) == (0, "payment: paid; refund by the shop\n")
        assert shop.order("DH1").order_status == "cancelled"
        assert (again.status, again.err) == (
            4, "orderctl: order DH1 is already cancelled\nhint: orderctl orders show DH1\n",
        )  # fmt: skip

    def test_several_orders_have_results_of_their_own(self, shop: Shop, inside: Program):
        shop.add("DH1")
        shop.carry_out(*shop.paid("DH2"))
        shop.add("DH3")
        shop.pay("DH3", "1")

        ended = inside("orders", "cancel", "DH1", "DH2", "DH1", "nope", "DH3", "-o", "json")

        rows = json.loads(ended.out)
        assert ended.status == 1
        assert [(row["order_code"], row["changed"]) for row in rows] == [
            ("DH1", True), ("DH2", False), ("nope", False), ("DH3", True),
        ]  # fmt: skip
        assert [row["error"] for row in rows][1:3] == [
            "order DH2 is already completed",
            "order 'nope' not found",
        ]
        assert "DH1: payment: pending; nothing to refund\n" in ended.err


def test_hints_for_a_code_that_begins_with_a_hyphen_can_be_pasted(shop: Shop, inside: Program):
    added = inside(
        "orders",
        "add",
        "--code",
        "-x",
        "--email",
        "a@example.com",
        "--amount",
        "7",
        "--course",
        "https://example.com/a.zip",
    )
    assert added.err == "next: orderctl orders pay --amount 7 -- -x\n"

    paid = inside(*added.err.removeprefix("next: orderctl ").split())
    assert (paid.status, paid.err.splitlines()[-1]) == (0, "next: orderctl tail order -- -x")
