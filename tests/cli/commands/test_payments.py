"""``orderctl payments``."""

import json
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import pytest

from orderctl.cli.app import App
from orderctl.payments.ledger import Payment
from orderctl.payments.transfer import Direction, Transfer
from tests.cli.conftest import Program
from tests.cli.test_startup import HEAVY, TAB, completing, offered, typed
from tests.shop import RULES, Shop

ONE_KIND = pytest.mark.databases("sqlite")
KEYS = [
    "id", "told_at", "provider", "provider_id", "amount", "currency", "direction", "bank", "account", "reference",
    "order_id", "order_code", "outcome", "reason", "code", "content", "happened_at", "decided_by", "decided_at",
    "decision",
]  # fmt: skip


def transfer(code: str | None = "DH1", amount: int | str = 300_000, number: int = 1, **more: Any) -> Transfer:
    return Transfer("sepay", Decimal(amount), provider_id=str(number), code=code, **{"bank": "ACB"} | more)


@pytest.fixture
def payments(shop: Shop) -> Shop:
    """A shop with one payment of each outcome but refused: 1 paid, 2 surplus, 3 mismatch, 4 unmatched, 5 ignored, 6 partial."""
    for code in ("DH1", "DH2", "DH3", "DH4"):
        shop.add(code)
    shop.receive(transfer(reference="FT1"))
    shop.receive(transfer(number=2))
    shop.receive(transfer("DH2", 250_000, 3))
    shop.receive(transfer("DH9", number=4, content="an ck hoc phi"))
    shop.receive(transfer(None, 7, 5, direction=Direction.OUT))
    shop.receive(transfer("DH4", 100_000, 6), rules=replace(RULES, accept="sum"))
    return shop


def names(inside: Program, *options: str) -> list[str]:
    return inside("payments", "list", "-o", "name", *options).out.split()


def test_the_list_has_the_promised_keys_newest_first(payments: Shop, inside: Program):
    ended = inside("payments", "list", "-o", "json")

    rows = json.loads(ended.out)
    assert ended.err == ""
    assert [list(row) for row in rows] == [KEYS] * 6
    assert set(KEYS) == {field.name for field in fields(Payment)}, "as the relay's API has them"
    assert [row["id"] for row in rows] == [6, 5, 4, 3, 2, 1]
    assert [row["outcome"] for row in rows[::-1]] == [
        "paid", "surplus", "mismatch", "unmatched", "ignored", "partial",
    ]  # fmt: skip
    paid = rows[-1]
    assert (paid["provider"], paid["provider_id"], paid["amount"], paid["order_code"]) == (
        "sepay",
        "1",
        300000,
        "DH1",
    )
    assert (paid["bank"], paid["reference"], paid["direction"], paid["reason"]) == ("ACB", "FT1", "in", None)
    assert paid["told_at"].endswith("Z")


@ONE_KIND
def test_the_list_is_narrowed(payments: Shop, inside: Program):
    assert names(inside, "--unmatched") == ["4"]
    assert names(inside, "--open") == ["4", "3", "2"]
    assert names(inside, "--outcome", "PAID, ignored") == ["5", "1"]
    assert names(inside, "--provider", "SePay") == ["6", "5", "4", "3", "2", "1"]
    assert names(inside, "--provider", "manual") == []
    assert names(inside, "--since", "1h", "--open") == ["4", "3", "2"]
    assert names(inside, "--until", "1h") == []


@ONE_KIND
def test_nothing_that_matches_is_said(shop: Shop, inside: Program):
    ended = inside("payments", "list", "-o", "json")
    table = inside("payments", "list", "--open")

    assert (ended.status, ended.out, ended.err) == (0, "[]\n", "")
    assert (table.status, table.out, table.err) == (0, "", "No payments match: open.\n")


@ONE_KIND
def test_pages_follow_their_cursor(payments: Shop, inside: Program):
    seen, after = [], []
    while True:
        ended = inside("payments", "list", "-L", "4", "-o", "name", *after)
        seen += ended.out.split()
        if not ended.err:
            break
        after = ended.err.removeprefix("next page: ").split()

    assert seen == ["6", "5", "4", "3", "2", "1"]


@ONE_KIND
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list", "--open", "--unmatched"], "only one of"),
        (["list", "--open", "--outcome", "paid"], "only one of"),
        (["list", "--outcome", "paid,nix"], "needs one or more of paid, partial"),
        (["list", "--after", "x"], "is not a cursor of a page of payments"),
        (["list", "--after", "9" * 30], "is not a cursor of a page of payments"),
        (["show", "0"], "0 is not in the range"),
        (["show", "x"], "'x' is not a valid whole number"),
        (["match", "4"], "give an order, or --refuse"),
        (["match", "4", "DH3", "--refuse", "--reason", "x"], "give an order, or --refuse"),
        (["match", "4", "DH3", "--yes"], "a reason is required"),
        (["match", "4", "DH3", "--yes", "--reason", "  "], "a reason is required"),
        (["match", "4", "--refuse", "--yes"], "a reason is required"),
        (["match", "4", "DH3", "--reason", "x"], 'cannot ask "Give payment 4 of 300,000 to order DH3, which costs 300,000?"'),
        (["match", "4", "--refuse", "--reason", "x"], 'cannot ask "Set payment 4 of 300,000 aside?"'),
    ],
)  # fmt: skip
def test_a_wrong_command_line_changes_nothing(words, said, payments: Shop, inside: Program):
    before = payments.ledger()

    ended = inside("payments", *words)

    assert ended.status == 2
    assert said in ended.err
    assert payments.ledger() == before


@ONE_KIND
def test_a_payment_is_shown_with_all_that_is_known(payments: Shop, inside: Program):
    lines = inside("payments", "show", "4").out.splitlines()
    shown = json.loads(inside("payments", "show", "4", "-o", "json").out)

    assert [line.split()[0] for line in lines] == KEYS
    assert "content      an ck hoc phi" in lines
    assert list(shown) == KEYS
    assert shown["code"] == "DH9"


@ONE_KIND
@pytest.mark.parametrize(
    ("number", "command"),
    [
        (1, None),
        (2, "orderctl payments match 2 --refuse --reason WHY"),
        (3, "orderctl payments match 3 DH2 --reason WHY"),
        (4, "orderctl payments match 4 ORDER --reason WHY"),
        (5, None),
    ],
)
def test_the_next_command_is_said(number, command, payments: Shop, inside: Program):
    assert inside("payments", "show", str(number)).err == (f"next: {command}\n" if command else "")


@pytest.mark.parametrize("number", ["99", "9" * 30])
@pytest.mark.parametrize(
    "words", [["show"], ["show", "--raw"], ["match", "--refuse", "--reason", "x", "--yes"]]
)
@ONE_KIND
def test_a_payment_that_does_not_exist_is_not_found(words, number, payments: Shop, inside: Program):
    ended = inside("payments", *words, number)

    assert (ended.status, ended.err) == (
        3,
        f"orderctl: payment {number} not found\nhint: orderctl payments list\n",
    )


@ONE_KIND
def test_what_the_provider_has_sent_is_shown_only_if_asked_for(shop: Shop, inside: Program):
    shop.add("DH1")
    shop.receive(transfer(raw={"id": 1, "secret": "canary", "amount": Decimal("1.5"), "text": "\x1b[2J"}))
    everything = [
        ["payments", "list"],
        ["payments", "show", "1"],
        ["orders", "show", "DH1"],
        ["logs", "show", "DH1"],
    ]

    shown = inside("payments", "show", "1", "--raw")

    assert (shown.status, shown.err) == (0, "")
    assert json.loads(shown.out) == {"id": 1, "secret": "canary", "amount": 1.5, "text": "\x1b[2J"}
    assert "\x1b" not in shown.out
    for words in everything:
        for form in ("wide", "json", "csv"):
            assert "canary" not in inside(*words, "-o", form).out


@ONE_KIND
@pytest.mark.parametrize(
    "change",
    [
        "outcome = 'strange'",
        "amount = NULL, reason = NULL",
        "direction = '', provider = ''",
        "order_id = 99",
        "raw = 'no JSON'",
        "decided_by = 'x', decided_at = NULL",
    ],
)
def test_odd_rows_are_shown(change: str, shop: Shop, inside: Program):
    shop.add("DH1")
    shop.receive(transfer("NOPE", raw={"id": 1}))
    shop.execute(f"UPDATE orderctl_payments SET {change}")

    for words in (["list"], ["list", "-o", "json"], ["show", "1"], ["show", "1", "--raw"]):
        assert (words, inside("payments", *words).status) == (words, 0)
    for decision in ("DH1", "--refuse"):
        assert inside("payments", "match", "1", decision, "--dry-run").status in {0, 4}


@ONE_KIND
def test_what_is_not_kept_is_not_found(shop: Shop, inside: Program, monkeypatch):
    monkeypatch.setenv("ORDERCTL_PAYMENTS_KEEP_RAW_DAYS", "30")
    shop.add("DH1")
    shop.add("DH2")
    shop.pay("DH2")
    shop.receive(transfer())

    typed, deleted = (inside("payments", "show", number, "--raw") for number in ("1", "2"))

    assert (typed.status, typed.out) == (deleted.status, deleted.out) == (3, "")
    assert "orderctl: no provider has sent payment 1" in typed.err
    assert "kept for 30 days (the setting payments.keep_raw_days)" in deleted.err


def test_a_payment_is_given_to_an_order(payments: Shop, inside: Program):
    ended = inside("payments", "match", "4", "DH3", "--reason", "he phoned", "--yes")
    again = inside("payments", "match", "4", "DH2", "--reason", "he phoned", "--yes")

    assert (ended.status, ended.out) == (0, "")
    assert (
        ended.err
        == "Order DH3 is paid.\nwaits: no worker is running: orderctl worker start\nnext: orderctl tail order DH3\n"
    )
    assert (again.status, again.err) == (
        4, "orderctl: payment 4 has paid order DH3\nhint: orderctl orders show DH3\n",
    )  # fmt: skip
    assert payments.order("DH3").payment_status == "paid"
    kept = payments.ledger()[3]
    assert (kept.outcome, kept.decision, kept.decided_by) == ("paid", "he phoned", App().actor)
    assert payments.event("DH3", "payment_matched").actor == App().actor


@ONE_KIND
def test_a_payment_that_is_taken_from_an_order_is_in_the_logs_of_both(payments: Shop, inside: Program):
    inside("payments", "match", "3", "DH3", "--reason", "the code was wrong", "--yes")

    for order in ("DH2", "DH3"):
        event = payments.event(order, "payment_matched")
        assert event.message == "Payment 3 of 250000 given to order DH3: the code was wrong"
    shown = inside("logs", "show", "DH2", "--category", "payment", "-o", "csv", "--fields", "event_type").out
    assert shown.split() == ["event_type", "payment_mismatch", "payment_matched"]


@ONE_KIND
def test_both_amounts_are_shown_before_the_question(payments: Shop, inside: Program, monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr(App, "interactive", True)
    monkeypatch.setattr("click.confirm", lambda question, **_: asked.append(question))

    ended = inside("payments", "match", "3", "DH3", "--reason", "x")

    assert (ended.status, payments.ledger()[2].outcome) == (1, "mismatch")
    assert asked == ["Give payment 3 of 250,000 to order DH3, which costs 300,000?"]
    assert ended.err == (
        "payment 3  250,000  ACB  mismatch\n"
        "  for order: DH2\n"
        "  reason: 250000 was transferred, the order costs 300000: 50000 is missing\n"
        "  transaction: 3\n"
        "  code: DH2\n"
        "order DH3  300,000  pending  customer@example.com\n"
        "orderctl: not confirmed: nothing was changed\n"
    )


@ONE_KIND
@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("UPDATE orders SET total_amount = 400000 WHERE order_code = 'DH3'", "order DH3 was changed"),
        ("UPDATE orderctl_payments SET amount = 1 WHERE id = 3", "payment 3 was changed"),
    ],
)
def test_what_is_not_any_more_as_it_was_shown_is_not_changed(
    change, what, payments: Shop, inside: Program, monkeypatch
):
    def confirm(*_: Any, **__: Any) -> bool:
        payments.execute(change)
        return True

    monkeypatch.setattr(App, "interactive", True)
    monkeypatch.setattr("click.confirm", confirm)

    ended = inside("payments", "match", "3", "DH3", "--reason", "x")

    assert ended.status == 4
    assert f"orderctl: {what} by another process; nothing was changed" in ended.err
    assert payments.order("DH3").payment_status == "pending"
    assert "payment_matched" not in payments.event_types("DH3")


@ONE_KIND
def test_a_dry_run_shows_and_changes_nothing(payments: Shop, inside: Program):
    before = payments.ledger()

    given = inside("payments", "match", "4", "DH3", "--dry-run")
    refused = inside("payments", "match", "4", "--refuse", "--dry-run")

    assert (given.status, refused.status) == (0, 0)
    assert "order DH3  300,000" in given.err
    assert given.err.endswith("Payment 4 would pay order DH3.\n")
    assert refused.err.endswith("Payment 4 would be set aside.\n")
    assert payments.ledger() == before


@ONE_KIND
def test_a_part_of_an_amount_is_given(payments: Shop, inside: Program, monkeypatch):
    monkeypatch.setenv("ORDERCTL_PAYMENTS_ACCEPT", "sum")

    asked = inside("payments", "match", "3", "DH4", "--dry-run")
    part = inside("payments", "match", "3", "DH3", "--dry-run")
    refused = inside("payments", "match", "3", "DH3", "--reason", "x")
    given = inside("payments", "match", "3", "DH3", "--reason", "x", "--yes")

    assert "  received before: 100,000\n" in asked.err
    assert asked.err.endswith("Payment 3 would pay order DH4: 350000 of 300000 received: 50000 too much.\n")
    assert part.err.endswith(
        "Payment 3 would become a part of the amount of order DH3: 250000 of 300000 received"
        ": 50000 is missing.\n"
    )
    assert "which costs 300,000 as a part?" in refused.err
    assert (given.status, given.err) == (
        0, "Order DH3 is not paid yet: 250000 of 300000 received: 50000 is missing.\n",
    )  # fmt: skip


@ONE_KIND
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["4", "DH1"], "order DH1 is paid already and cannot be paid"),
        (["1", "DH3"], "payment 1 has paid order DH1"),
        (["5", "DH3"], "payment 5 is not a transfer to the shop: outgoing"),
        (["1", "--refuse"], "payment 1 has paid order DH1"),
        (["1", "--refuse", "--dry-run"], "payment 1 has paid order DH1"),
        (["5", "--refuse"], "payment 5 is not a transfer to the shop: outgoing"),
    ],
)
def test_what_cannot_be_decided_is_a_conflict(words, said, payments: Shop, inside: Program):
    ended = inside("payments", "match", *words, "--reason", "x", "--yes")

    assert ended.status == 4
    assert ended.err.startswith(f"orderctl: {said}\nhint: orderctl ")


@ONE_KIND
def test_an_order_that_does_not_exist_is_not_found(payments: Shop, inside: Program):
    for order in ("NOPE", "", "9" * 30):
        assert inside("payments", "match", "4", order, "--reason", "x", "--yes").status == 3


@ONE_KIND
def test_a_payment_is_set_aside(payments: Shop, inside: Program):
    ended = inside("payments", "match", "2", "--refuse", "--reason", "sent back", "--yes")
    again = inside("payments", "match", "2", "--refuse", "--reason", "again", "--yes")

    assert (ended.status, ended.out, ended.err) == (0, "", "Payment 2 is set aside.\n")
    assert (again.status, again.err) == (
        4, "orderctl: payment 2 was set aside before: sent back\nhint: orderctl payments show 2\n",
    )  # fmt: skip
    assert payments.event("DH1", "payment_refused").message == "Payment 2 of 300000 set aside: sent back"
    assert names(inside, "--open") == ["4", "3"]


def test_the_payments_of_an_order_are_shown_with_it(payments: Shop, inside: Program):
    drawn = inside("orders", "show", "DH1").out
    shown = json.loads(inside("orders", "show", "DH1", "-o", "json").out)
    none = json.loads(inside("orders", "show", "DH3", "-o", "json").out)

    assert "├─ payment 1  paid  300,000  ACB  FT1  " in drawn
    assert "├─ payment 2  surplus  300,000  ACB  " in drawn
    assert "  the order is paid already\n" in drawn
    assert [list(row) for row in shown["payments"]] == [KEYS] * 2
    assert [(row["id"], row["outcome"]) for row in shown["payments"]] == [(1, "paid"), (2, "surplus")]
    assert none["payments"] == []


@ONE_KIND
def test_texts_of_a_bank_are_harmless(shop: Shop, inside: Program):
    shop.add("DH1")
    shop.receive(transfer(bank="=cmd()", content="x"))
    # Another program may have written what orderctl never stores.
    shop.execute("UPDATE orderctl_payments SET reason = :text, content = :text", text="a\x1b[2J\u202eb\nc")

    for words in (["payments", "list", "-o", "wide"], ["payments", "show", "1"], ["orders", "show", "DH1"]):
        out = inside(*words).out
        assert "a\\x1b[2J\\u202eb" in out
        assert "b\nc" not in out
    assert ",'=cmd()," in inside("payments", "list", "-o", "csv").out


@ONE_KIND
def test_a_payment_of_an_order_that_the_shop_has_removed_keeps_its_id(payments: Shop, inside: Program):
    payments.execute("PRAGMA foreign_keys = OFF")
    payments.execute("DELETE FROM orderctl_payments WHERE id <> 3")
    for table in ("order_audit_logs", "download_tasks"):
        payments.execute(f"DELETE FROM {table} WHERE order_id = 2")
    payments.execute("DELETE FROM orders WHERE id = 2")

    [row] = json.loads(inside("payments", "list", "-o", "json").out)
    shown = inside("payments", "list").out.splitlines()[1]

    assert (row["order_id"], row["order_code"]) == (2, None)
    assert " 2 " in shown
    assert inside("payments", "match", "3", "DH3", "--reason", "x", "--yes").status == 0


@ONE_KIND
def test_a_database_without_the_ledger_is_not_migrated(shop: Shop, inside: Program):
    shop.add("DH1")
    shop.execute("DROP TABLE orderctl_payments")

    for words in (
        ["payments", "list"],
        ["payments", "show", "1"],
        ["payments", "match", "1", "DH1", "--reason", "x", "--yes"],
        ["orders", "show", "DH1"],
        ["orders", "pay", "DH1", "--amount", "300000"],
    ):
        ended = inside(*words)
        assert ended.status == 78, words
        assert "orderctl migrate up" in ended.err


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("orderctl payments list --outcome paid,sur", ["paid,surplus"]),
        (
            "orderctl payments list --provider ",
            ["casso", "plain", "sepay", "manual", "audit_log", "statement"],
        ),
        ("orderctl orders pay --provider s", ["sepay"]),
    ],
)
def test_the_tab_key_completes_without_a_store(line, found, orderctl: Program):
    assert offered(orderctl(*typed(line), env=TAB).out) == found
    assert not completing(*typed(line)) & {*HEAVY}
