"""What a comparison finds at its edges: of the period, the account, and of names that two transfers may have."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from orderctl.payments import decisions, reconciliation
from orderctl.payments.reconciliation import Report, Scope
from orderctl.payments.statements.line import Line, Statement
from orderctl.payments.transfer import Direction, Transfer
from tests.payments.test_stated import AT, DAY, line
from tests.shop import AMOUNT, RULES, TESTER, Shop

pytestmark = pytest.mark.databases("sqlite")

HOUR = timedelta(hours=1)


def compare(shop: Shop, *lines: Line, progress: Any = None, **scope: Any) -> Report:
    statement = Statement(lines, (), (), ())
    return shop.read(lambda c: reconciliation.compare(c, statement, RULES, Scope(**scope), progress))


def kinds(report: Report) -> list[tuple[str, int | None, int | None]]:
    return [(one.kind, one.line, one.payment_id) for one in report.differences]


def told(shop: Shop, at: datetime = AT, *, delay: float = 3, provider: str = "sepay", **more: Any) -> int:
    """Take in what a provider told so many seconds after the bank booked it; return the payment's id."""
    values = {"content": "DH1", "bank": "MBBank", "account": "0071", "happened_at": at} | more
    [receipt] = shop.receive(Transfer(provider, AMOUNT, **values))
    shop.execute(
        "UPDATE orderctl_payments SET told_at = :at WHERE id = :id",
        at=f"{at + timedelta(seconds=delay):%Y-%m-%d %H:%M:%S.%f}", id=receipt.payment.id,
    )  # fmt: skip
    shop.execute("UPDATE orders SET paid_at = :at WHERE paid_at IS NOT NULL", at=f"{at:%Y-%m-%d %H:%M:%S.%f}")
    return receipt.payment.id


def test_what_is_in_order_is_not_found(shop: Shop) -> None:
    shop.add("DH1")
    told(shop, provider_id="7", reference="FT1")
    done: list[tuple[int, int]] = []

    report = compare(shop, line("FT1"), line("FT2", direction=Direction.OUT, number=3))

    assert (report.differences, report.compared, report.outgoing, report.undecided) == ((), 1, 1, 0)
    assert report.matched == {1}
    compare(shop, line("FT9"), progress=lambda *at: done.append(at))
    assert done == [(1, 1)]


def test_an_empty_statement_has_no_differences(shop: Shop) -> None:
    shop.paid("DH1")

    assert compare(shop).differences == ()


def test_only_lines_of_the_period_are_found(shop: Shop) -> None:
    lines = [
        line(f"FT{day}", number=day + 2, begin=AT + day * DAY, end=AT + day * DAY + HOUR) for day in range(4)
    ]

    report = compare(shop, *lines, since=AT + DAY, until=AT + 3 * DAY)

    assert [one.line for one in report.differences] == [3, 4]
    assert report.compared == 2


@pytest.mark.parametrize(
    ("minutes", "happened", "is_found"),
    [(-1, True, False), (1, True, True), (59, False, False), (61, False, True), (24 * 60 + 1, True, False)],
)
def test_a_payment_of_the_period_needs_a_transfer(
    shop: Shop, minutes: int, *, happened: bool, is_found: bool
) -> None:
    shop.add("DH1")
    at = AT + timedelta(minutes=minutes)
    told(shop, at, delay=0, provider_id="7", reference="FT1", happened_at=at if happened else None)

    found = compare(shop, since=AT, until=AT + DAY)

    assert kinds(found) == ([("without-transfer", None, 1)] if is_found else [])


@pytest.mark.parametrize(
    ("lines", "scope", "is_found"),
    [
        ([line("FT9", account="0072")], {}, False),
        ([line("FT9", account=None)], {"accounts": ("0072",)}, False),
        ([line("FT9", account=None)], {"accounts": ("00 71",)}, True),
        ([line("FT9", account=None)], {}, True),
    ],
)
def test_payments_of_another_account_are_left_out(
    shop: Shop, lines: list[Line], scope: dict[str, Any], *, is_found: bool
) -> None:
    shop.add("DH1")
    told(shop, provider_id="7", reference="FT1")

    report = compare(shop, *lines, since=AT - HOUR, until=AT + DAY, **scope)

    assert ("without-transfer", None, 1) in kinds(report) or not is_found
    assert ("without-transfer", None, 1) not in kinds(report) or is_found


def test_the_account_is_that_of_the_payments_with_the_statements_names(shop: Shop) -> None:
    for number in (1, 2):
        shop.add(f"DH{number}")
        told(
            shop,
            provider_id=str(number),
            reference=f"FT{number}",
            content=f"DH{number}",
            account=f"007{number}",
        )

    assert kinds(compare(shop, line("FT1", account=None), until=AT + DAY)) == []


def test_one_reference_of_two_accounts_is_two_transfers(shop: Shop) -> None:
    shop.add("DH1")
    told(shop, provider_id="7", reference="0001")

    report = compare(shop, line("0001", account="0099"))

    assert [(one.kind, one.outcome) for one in report.differences] == [("missing", "surplus")]


def test_a_reference_that_began_anew_is_another_transfer(shop: Shop) -> None:
    shop.add("DH1")
    shop.add("DH2")
    told(shop, AT - 60 * DAY, provider_id="7", reference="0001")

    report = compare(shop, line("0001", content="DH2"))

    assert [(one.kind, one.outcome, one.order_code) for one in report.differences] == [
        ("missing", "paid", "DH2")
    ]


@pytest.mark.parametrize("amount", [AMOUNT, AMOUNT + 1])
def test_a_short_number_of_a_transfer_for_another_order_is_another_transfer(shop: Shop, amount: int) -> None:
    for code in ("DH1", "DH2"):
        shop.add(code)
    told(shop, provider_id="4321", reference="FT26305001")
    lines = (line("FT26305001", content="DH1"), line("4321", content="DH2", number=2, amount=Decimal(amount)))

    assert kinds(compare(shop, *lines)) == [("missing", 2, None)]
    assert [kind for kind, *_ in kinds(compare(shop, lines[1]))] == ["missing", "without-transfer"]


def test_a_short_number_that_a_person_has_typed_counts_for_any_order(shop: Shop) -> None:
    for code in ("DH1", "DH2"):
        shop.add(code)
    told(shop, provider="manual", provider_id="4321", code="DH2", content=None)

    assert compare(shop, line("4321", content="DH1")).differences == ()


def test_a_bank_that_calls_all_otherwise_is_matched_by_text(shop: Shop) -> None:
    lines = []
    for number in range(1, 4):
        shop.add(f"DH{number}")
        told(
            shop,
            AT + number * HOUR,
            provider_id=str(number),
            reference=f"FT{number}",
            content=f"DH{number} hoc",
        )
        begin = AT + number * HOUR
        lines.append(line(f"00{number}", number=number, begin=begin, end=begin + HOUR, content=f"DH{number}"))

    assert compare(shop, *lines).differences == ()


def test_a_code_that_begins_as_another_one_is_another_order(shop: Shop) -> None:
    shop.add("DH1")
    shop.add("DH12")
    shop.pay("DH1")
    shop.execute("UPDATE orderctl_payments SET told_at = '2026-11-03 04:04:00'")

    report = compare(shop, line("FT1", content="dh 12"), since=AT - DAY)

    assert [(one.kind, one.order_code) for one in report.differences] == [
        ("missing", "DH12"),
        ("without-transfer", "DH1"),
    ]


def test_the_nearest_of_two_lines_is_the_payments(shop: Shop) -> None:
    shop.add("DH1")
    told(shop, provider_id="7")
    lines = [line(number=number, key=str(number), begin=AT + at, end=AT + at + HOUR) for number, at in
             ((2, -5 * HOUR), (3, timedelta(0)), (4, 5 * HOUR))]  # fmt: skip

    report = compare(shop, *lines)

    assert [(one.kind, one.line, one.outcome) for one in report.differences] == [
        ("missing", 2, "surplus"),
        ("missing", 4, "surplus"),
    ]


def test_what_was_decided_is_not_found_any_more(shop: Shop) -> None:
    shop.add("DH1")
    for number in (1, 2):
        told(shop, AT + number * HOUR, provider_id=str(number), reference=f"FT{number}")
    lines = [line(f"FT{number}", begin=AT + number * HOUR, end=AT + number * HOUR + HOUR, number=number)
             for number in (1, 2)]  # fmt: skip

    assert kinds(compare(shop, *lines)) == [("double", 2, 2)]
    shop.transact(lambda c: decisions.refuse(c, 2, reason="sent back", origin=TESTER))
    assert kinds(compare(shop, *lines)) == []


def test_what_the_comparison_says(shop: Shop) -> None:
    shop.add("DH1")
    shop.add("DH2")
    lines = [
        line("FT1"),
        line("FT2", number=3, amount=AMOUNT - 1, content="DH2"),
        line("FT3", number=4, content="?"),
    ]

    report = compare(shop, *lines)

    assert [one.text for one in report.differences] == [
        "it would pay order DH1",
        "it would be a mismatch: 299999 was transferred, the order costs 300000: 1 is missing",
        "it would be unmatched: no order's code in the text",
    ]
    first = report.differences[0]
    assert (first.reference, first.amount, first.expected, first.happened_at) == ("FT1", AMOUNT, AMOUNT, AT)


def test_an_order_that_the_shop_has_deleted_needs_no_transfer(shop: Shop) -> None:
    order_id = shop.add("DH1")
    shop.execute("UPDATE orders SET payment_status = 'paid', paid_at = '2026-11-03 06:00:00'")
    period = {"since": AT, "until": datetime(2026, 11, 4, tzinfo=UTC)}
    assert [one.order_code for one in compare(shop, **period).differences] == ["DH1"]

    shop.soft_delete("orders", order_id)

    assert compare(shop, **period).differences == ()


def test_a_transfer_that_the_bank_calls_otherwise_is_another_one(shop: Shop) -> None:
    for number in (1, 2):
        shop.add(f"DH{number}")
        told(shop, provider_id=str(number), reference=f"FT{number}", content=f"DH{number}")

    report = compare(shop, line("FT1"), line("FT9", number=3, content="DH2"), since=AT - DAY, until=AT + DAY)

    assert [(one.kind, one.order_code) for one in report.differences] == [
        ("missing", "DH2"),
        ("without-transfer", "DH2"),
    ]


def test_of_two_parts_of_a_name_the_amount_tells_which_one_is_known(shop: Shop) -> None:
    shop.add("DH1", amount="100000")
    shop.add("DH2")
    told(shop, provider_id="7", reference="FT26014", content="DH2")
    lines = [line("FT26014/1", amount=AMOUNT - 200_000), line("FT26014/2", number=3, content="DH2")]

    report = compare(shop, *lines)

    assert [(one.kind, one.line, one.outcome) for one in report.differences] == [("missing", 2, "paid")]
