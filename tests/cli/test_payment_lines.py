"""What ``orders pay`` says about the documents of banks."""

import json
from typing import Any

import pytest

from orderctl.errors import DatabaseUnavailable
from orderctl.payments import intake
from tests.cli.conftest import Ended, Program
from tests.shop import Shop

ONE_KIND = pytest.mark.databases("sqlite")
PLAIN = {"code": "DH1", "transferAmount": 300000, "bankName": "ACB"}


@pytest.fixture
def pay(shop: Shop, inside: Program, tmp_path) -> Program:
    """``pay(document, *options)`` records what a bank sends."""

    def call(document: Any, *options: str) -> Ended:
        (tmp_path / "sent.json").write_text(json.dumps(document))
        return inside("orders", "pay", "--json", str(tmp_path / "sent.json"), *options)

    return call


@ONE_KIND
def test_a_document_that_names_no_order_is_kept(shop: Shop, pay: Program):
    shop.add("DH1")
    shop.add("DH2")

    unknown = pay(PLAIN | {"code": "DH9", "id": 1})
    by_id = pay(PLAIN | {"code": "2", "id": 2})

    assert (unknown.status, by_id.status) == (3, 3)
    assert unknown.err.startswith("orderctl: the payment of 300,000 is kept without an order, with id 1: ")
    assert unknown.err.endswith("\nhint: orderctl payments match 1 ORDER --reason WHY\n")
    assert [shop.order(code).payment_status for code in ("DH1", "DH2")] == ["pending", "pending"]
    shop.add("DH9")
    assert pay(PLAIN | {"code": "DH9", "id": 1}).status == 0  # sent again when the order is there


@ONE_KIND
def test_a_second_transfer_is_kept_as_surplus(shop: Shop, pay: Program):
    shop.add("DH1")
    assert pay(PLAIN | {"id": 1}).status == 0

    for _ in range(2):
        ended = pay(PLAIN | {"id": 2})
        assert ended.status == 4
        assert ended.err == (
            "orderctl: order DH1 is paid already: the payment of 300,000 is kept as surplus, with id 2\n"
            "hint: orderctl payments show 2\n"
        )


@ONE_KIND
def test_a_part_is_no_failure(shop: Shop, pay: Program, monkeypatch):
    monkeypatch.setenv("ORDERCTL_PAYMENTS_ACCEPT", "sum")
    shop.add("DH1")

    part, again = (pay(PLAIN | {"transferAmount": 100_000, "id": 1}) for _ in range(2))
    rest = pay(PLAIN | {"transferAmount": 200_000, "id": 2})

    assert (part.status, again.status, rest.status) == (0, 0, 0)
    assert part.err == "Order DH1 is not paid yet: 100000 of 300000 received: 200000 is missing.\n"
    assert again.err == "This payment of order DH1 was recorded before; nothing was changed.\n"
    assert (
        rest.err
        == "Order DH1 is paid.\nwaits: no worker is running: orderctl worker start\nnext: orderctl tail order DH1\n"
    )


@ONE_KIND
def test_a_payment_in_another_currency_is_a_mismatch(shop: Shop, pay: Program):
    shop.add("DH1")

    ended = pay(PLAIN | {"id": 1, "currency": "EUR"})

    assert ended.status == 1
    assert "order DH1 stays unpaid: 300000 EUR was transferred, the shop's currency is VND" in ended.err


@ONE_KIND
def test_what_was_set_aside_is_not_taken_again(shop: Shop, pay: Program, inside: Program):
    pay(PLAIN | {"id": 1})
    inside("payments", "match", "1", "--refuse", "--reason", "sent back", "--yes")
    shop.add("DH1")

    ended = pay(PLAIN | {"id": 1})

    assert (ended.status, ended.err) == (0, "Payment 1 was set aside before: sent back.\n")


@ONE_KIND
def test_several_transfers_of_one_document_are_reported_each(shop: Shop, pay: Program):
    shop.add("DH1")
    shop.add("DH2")
    when = {"when": "2026-11-30 10:00:00", "bankName": "VCB"}
    data = [
        {"id": number, "tid": f"T{number}", "description": text, "amount": amount} | when
        for number, text, amount in ((1, "DH1", 300_000), (2, "hoc phi", 5), (3, "DH2", 7), (4, "DH2", -7))
    ]

    ended = pay({"error": 0, "data": data})
    short = "7 was transferred, the order costs 300000: 299993 is missing"

    assert (ended.status, ended.out) == (1, "")
    assert ended.err.splitlines() == [
        "Order DH1 is paid.",
        "Payment 2 is ignored: outgoing.",
        "waits: no worker is running: orderctl worker start",
        "next: orderctl tail order DH1",
        "orderctl: the payment of 5 is kept without an order, with id 1: no order's code in the text",
        "hint: orderctl payments match 1 ORDER --reason WHY",
        f"orderctl: order DH2 stays unpaid: {short}; the payment is kept with id 4",
        "hint: orderctl payments match 4 DH2 --reason WHY",
        "orderctl: 2 of 4 payments paid no order",
        "hint: orderctl payments list --open",
    ]


@ONE_KIND
def test_the_provider_of_a_document_can_be_named(shop: Shop, pay: Program):
    shop.add("DH1")
    of_another = PLAIN | {"gateway": "ACB"}

    refused, other, named = pay({"x": 1}), pay(of_another), pay(of_another, "--provider", "PLAIN")

    assert (refused.status, other.status, named.status) == (2, 2, 0)
    assert "the fields of none, or of several, of the providers casso, plain, sepay" in refused.err
    assert "add --provider NAME" in refused.err


@ONE_KIND
@pytest.mark.parametrize("name", ["nix", "", "manual", "\x1b[2J", "x" * 5000])
def test_a_provider_that_is_not_installed_is_refused(name, shop: Shop, pay: Program):
    ended = pay(PLAIN, "--provider", name)

    assert ended.status == 2
    assert "is not an installed payment provider\nhint: installed: casso, plain, sepay\n" in ended.err


@ONE_KIND
def test_a_provider_is_named_only_of_a_document(shop: Shop, inside: Program):
    shop.add("DH1")

    ended = inside("orders", "pay", "DH1", "--amount", "300000", "--provider", "plain")

    assert (ended.status, shop.order("DH1").payment_status) == (2, "pending")
    assert "--json" in ended.err


def test_odd_values_of_a_document_are_kept_and_shown(shop: Shop, pay: Program, inside: Program):
    shop.add("DH1")
    odd = {
        "text": "\ud800\x00\u202e",
        "long": "x" * 100_000,
        "number": 10**400,
        "far": 1.5,
        "deep": [[[{}]]],
    }

    ended = pay(PLAIN | odd)
    shown = inside("payments", "show", "1", "--raw")

    assert (ended.status, shown.status) == (0, 0), (ended.err, shown.err)
    assert json.loads(shown.out)["long"] == odd["long"]
    assert "\u202e" not in shown.out


@ONE_KIND
def test_a_list_of_deliveries_is_recorded_one_by_one(shop: Shop, pay: Program):
    shop.add("DH1")
    shop.add("DH2")
    two = {"id": 2, "code": "DH2"}

    ended = pay([PLAIN | {"id": 1}, PLAIN | two | {"transferAmount": 7}, PLAIN | {"id": 1}])
    again = pay([PLAIN | {"id": 1}, PLAIN | two | {"id": 3}])

    assert ended.status == 1
    assert "1 of 3 payments paid no order" in ended.err
    assert again.status == 0
    assert again.err.splitlines() == [
        "This payment of order DH1 was recorded before; nothing was changed.",
        "Order DH2 is paid.",
        "waits: no worker is running: orderctl worker start",
        "next: orderctl tail order DH2",
    ]


@ONE_KIND
def test_of_a_list_with_an_unreadable_item_nothing_is_recorded(shop: Shop, pay: Program):
    shop.add("DH1")

    ended = pay([PLAIN | {"id": 1}, {"nonsense": 1}])

    assert ended.status == 2
    assert ended.err.startswith("orderctl: item 2 of the list: ")
    assert shop.ledger() == []
    assert (pay([]).status, pay([]).err) == (2, "orderctl: the document contains no payments\n")


@ONE_KIND
def test_of_an_outage_within_a_list_the_rest_is_named(
    shop: Shop, pay: Program, monkeypatch: pytest.MonkeyPatch
):
    shop.add("DH1")
    receive = intake.receive

    def fail_later(connection: Any, transfers: Any, *more: Any) -> Any:
        if shop.ledger():
            raise DatabaseUnavailable("the database does not answer")
        return receive(connection, transfers, *more)

    monkeypatch.setattr(intake, "receive", fail_later)

    ended = pay([PLAIN | {"id": 1}, PLAIN | {"id": 2}, PLAIN | {"id": 3}])

    assert ended.status == 69
    assert "Order DH1 is paid." in ended.err
    assert "2 deliveries not recorded: the same list can be recorded again" in ended.err
