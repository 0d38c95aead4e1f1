"""What a transfer does for its order, by its amount."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl import settings
from orderctl.payments.amounts import Rules, Verdict, judge
from orderctl.states import PaymentOutcome

PAID, PARTIAL, MISMATCH = PaymentOutcome.PAID, PaymentOutcome.PARTIAL, PaymentOutcome.MISMATCH
ACCEPTS = ("exact", "at-least", "sum")
VND, EUR = Decimal(300_000), Decimal("12.50")


def rules(accept: str = "exact", tolerance: str = "0", currency: str = "VND") -> Rules:
    return Rules(accept, Decimal(tolerance), None, ("pending",), currency)


def verdict(accept: str, tolerance: str, amount: str, expected: str, received: str = "0") -> Verdict:
    by = rules(accept, tolerance)
    return judge(Decimal(amount), Decimal(expected), received=Decimal(received), rules=by)


@pytest.mark.parametrize(
    ("accept", "tolerance", "amount", "expected", "outcome"),
    [
        # A shop in VND: whole numbers.
        ("exact", "0", "300000", "300000", PAID),
        ("exact", "0", "300000.00", "300000", PAID),
        ("exact", "0", "3E+5", "300000.00", PAID),
        ("exact", "0", "299999", "300000", MISMATCH),
        ("exact", "0", "300001", "300000", MISMATCH),
        ("exact", "0.01", "299999", "300000", MISMATCH),
        ("exact", "1000", "299000", "300000", PAID),
        ("exact", "1000", "298999", "300000", MISMATCH),
        ("exact", "1000", "301000", "300000", PAID),
        ("exact", "1000", "301001", "300000", MISMATCH),
        ("at-least", "0", "300000", "300000", PAID),
        ("at-least", "0", "299999", "300000", MISMATCH),
        ("at-least", "0", "310000", "300000", PAID),
        ("at-least", "0.01", "299999", "300000", MISMATCH),
        ("at-least", "1000", "299000", "300000", PAID),
        ("at-least", "1000", "298999", "300000", MISMATCH),
        ("at-least", "1000", "9000000", "300000", PAID),
        ("sum", "0", "300000", "300000", PAID),
        ("sum", "0", "299999", "300000", PARTIAL),
        ("sum", "0", "310000", "300000", PAID),
        ("sum", "0.01", "299999", "300000", PARTIAL),
        ("sum", "1000", "299000", "300000", PAID),
        ("sum", "1000", "298999", "300000", PARTIAL),
        # A shop in EUR: cents.
        ("exact", "0", "12.5", "12.50", PAID),
        ("exact", "0", "12.49", "12.50", MISMATCH),
        ("exact", "0", "12.51", "12.50", MISMATCH),
        ("exact", "0.01", "12.49", "12.50", PAID),
        ("exact", "0.01", "12.51", "12.50", PAID),
        ("exact", "0.01", "12.48", "12.50", MISMATCH),
        ("exact", "0.01", "12.52", "12.50", MISMATCH),
        ("exact", "0.01", "12.4899", "12.50", MISMATCH),
        ("exact", "1000", "0.01", "12.50", PAID),
        ("at-least", "0", "12.49", "12.50", MISMATCH),
        ("at-least", "0", "12.51", "12.50", PAID),
        ("at-least", "0.01", "12.49", "12.50", PAID),
        ("at-least", "0.01", "12.48", "12.50", MISMATCH),
        ("at-least", "1000", "0.01", "12.50", PAID),
        ("sum", "0", "12.49", "12.50", PARTIAL),
        ("sum", "0", "12.5", "12.50", PAID),
        ("sum", "0.01", "12.49", "12.50", PAID),
        ("sum", "0.01", "12.48", "12.50", PARTIAL),
        ("sum", "1000", "0.01", "12.50", PAID),
    ],
)
def test_one_transfer(accept, tolerance, amount, expected, outcome):
    assert verdict(accept, tolerance, amount, expected).outcome == outcome


@pytest.mark.parametrize(
    ("tolerance", "received", "amount", "expected", "outcome"),
    [
        ("0", "200000", "100000", "300000", PAID),
        ("0", "200000", "99999", "300000", PARTIAL),
        ("0", "200000", "100001", "300000", PAID),
        ("1000", "200000", "99000", "300000", PAID),
        ("1000", "200000", "98999", "300000", PARTIAL),
        ("0", "0.1", "0.2", "0.3", PAID),
        ("0", "12.49", "0.01", "12.50", PAID),
        ("0", "12.48", "0.01", "12.50", PARTIAL),
        ("0.01", "12.48", "0.01", "12.50", PAID),
    ],
)
def test_several_transfers(tolerance, received, amount, expected, outcome):
    assert verdict("sum", tolerance, amount, expected, received).outcome == outcome


@pytest.mark.parametrize("accept", ["exact", "at-least"])
def test_only_sum_counts_what_was_received_before(accept):
    assert verdict(accept, "0", "100000", "300000", received="200000").outcome == MISMATCH


@pytest.mark.parametrize("accept", ACCEPTS)
@pytest.mark.parametrize("tolerance", ["0", "0.01", "1000", "300000", "1E+9"])
@pytest.mark.parametrize("expected", [VND, EUR, Decimal("0.01")])
def test_0_pays_only_what_costs_nothing(accept, tolerance, expected):
    by = rules(accept, tolerance)

    for received in (Decimal(0), expected):
        assert judge(Decimal("0.00"), expected, received=received, rules=by).outcome == MISMATCH
    assert judge(Decimal(0), Decimal("0.00"), rules=by) == Verdict(PAID)


@pytest.mark.parametrize("accept", ACCEPTS)
@pytest.mark.parametrize("expected", [None, Decimal("NaN"), Decimal("Infinity"), Decimal(-1)])
def test_an_order_without_an_amount_is_not_paid(accept, expected):
    found = judge(VND, expected, rules=rules(accept, "1E+9"))

    assert found.outcome == MISMATCH
    assert found.reason is not None
    assert found.reason.startswith("300000 was transferred, the order costs ")
    assert found.reason.endswith(": correct its total_amount")


@pytest.mark.parametrize("accept", ACCEPTS)
@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "-1"])
def test_what_is_no_amount_pays_nothing(accept, amount):
    assert verdict(accept, "1E+9", amount, "300000").outcome == MISMATCH


@pytest.mark.parametrize("currency", [None, "VND", "vnd", " VND "])
def test_the_currency_of_the_shop_in_any_case(currency):
    assert judge(VND, VND, currency=currency, rules=rules()) == Verdict(PAID)


@pytest.mark.parametrize("accept", ACCEPTS)
def test_another_currency_pays_nothing(accept):
    assert judge(EUR, EUR, currency="USD", rules=rules(accept, "1000", "EUR")) == Verdict(
        MISMATCH, "12.5 USD was transferred, the shop's currency is EUR: compare the amounts yourself"
    )


@pytest.mark.parametrize(
    ("accept", "tolerance", "amount", "received", "reason"),
    [
        ("exact", "0", "3E+5", "0", None),
        ("exact", "0", "299999", "0", "299999 was transferred, the order costs 300000: 1 is missing"),
        ("exact", "0", "310000.00", "0", "310000 was transferred, the order costs 300000: 10000 too much"),
        (
            "exact",
            "1000",
            "299999.5",
            "0",
            "299999.5 was transferred, the order costs 300000: 0.5 is missing, within the tolerance",
        ),
        (
            "exact",
            "1000",
            "300001",
            "0",
            "300001 was transferred, the order costs 300000: 1 too much, within the tolerance",
        ),
        ("at-least", "0", "310000", "0", "310000 was transferred, the order costs 300000: 10000 too much"),
        ("at-least", "0", "200000", "0", "200000 was transferred, the order costs 300000: 100000 is missing"),
        ("sum", "0", "100000", "100000", "200000 of 300000 received: 100000 is missing"),
        ("sum", "0", "100000", "200000", None),
        ("sum", "0", "110000", "200000", "310000 of 300000 received: 10000 too much"),
        (
            "sum",
            "1000",
            "99000",
            "200000",
            "299000 of 300000 received: 1000 is missing, within the tolerance",
        ),
        ("at-least", "0", "0", "0", "0 was transferred, the order costs 300000: 0 pays nothing"),
    ],
)
def test_the_reason_names_both_numbers(accept, tolerance, amount, received, reason):
    assert verdict(accept, tolerance, amount, "300000", received).reason == reason


def test_every_digit_of_the_widest_column_counts():
    expected = "12345678901234567890123456789012345.012345678901234567890123456789"

    assert verdict("exact", "0", expected, expected) == Verdict(PAID)
    assert verdict("exact", "0", expected[:-1] + "8", expected).outcome == MISMATCH
    assert verdict("sum", "0", "0." + "0" * 29 + "1", expected, expected[:-1] + "8").outcome == PAID
    assert verdict("sum", "0", "0." + "0" * 29 + "1", expected, expected[:-1] + "7").outcome == PARTIAL


cents = st.decimals(min_value="0.01", max_value="9999999999.99", places=2)


@given(st.lists(cents, min_size=1, max_size=6), st.data())
def test_parts_in_any_order_pay_exactly_when_the_total_suffices(parts, data):
    total = sum(parts)
    expected = data.draw(st.sampled_from([total, total + Decimal("0.01"), *parts]) | cents)
    received, outcomes = Decimal(0), []

    for part in data.draw(st.permutations(parts)):
        outcomes.append(
            (judge(part, expected, received=received, rules=rules("sum")).outcome, received + part)
        )
        received += part

    assert all((outcome == PAID) == (so_far >= expected) for outcome, so_far in outcomes)
    assert (outcomes[-1][0] == PAID) == (total >= expected)


@given(
    st.decimals(min_value=0, max_value=10**12, places=4),
    st.decimals(min_value=0, max_value=10**12, places=2),
    st.sampled_from(ACCEPTS),
)
def test_what_is_paid_has_no_reason_exactly_if_the_amounts_are_equal(amount, expected, accept):
    found = judge(amount, expected, rules=rules(accept))

    assert (found.reason is None) == (amount == expected)
    assert found.outcome == PAID or amount != expected


def test_the_rules_of_the_settings(tmp_path):
    environ = {
        "ORDERCTL_STATE_DIR": str(tmp_path),
        "ORDERCTL_PAYMENTS_ACCEPT": "at-least",
        "ORDERCTL_PAYMENTS_TOLERANCE": "0.50",
        "ORDERCTL_PAYMENTS_CODE_PATTERN": "DH[0-9]+",
        "ORDERCTL_PAYMENTS_PENDING_STATUSES": "Pending,WAITING",
        "ORDERCTL_DISPLAY_CURRENCY": "EUR",
    }

    found = Rules.of(settings.load(environ=environ))

    assert found == Rules(
        "at-least",
        Decimal("0.50"),
        re.compile("DH[0-9]+", re.IGNORECASE),
        ("pending", "waiting"),
        "EUR",
    )
