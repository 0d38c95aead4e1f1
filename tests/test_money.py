"""Amounts in the formats of users and documents."""

from decimal import Decimal

import pytest

from orderctl import money


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("300000", "300000"),
        ("300_000", "300000"),
        (" 12.50 ", "12.50"),
        ("-1", "-1"),
        (300000, "300000"),
        (Decimal("0.10"), "0.10"),
    ],
)
def test_an_amount_is_read_exactly(written, meant):
    assert str(money.parse(written)) == meant


@pytest.mark.parametrize("written", ["", "x", "1,5", "12 000"])
def test_a_text_that_is_not_a_number_is_refused(written):
    with pytest.raises(ValueError, match="is not a number"):
        money.parse(written)


@pytest.mark.parametrize("value", [None, True, 12.5, [], {}])
def test_what_is_neither_text_nor_exact_is_refused(value):
    with pytest.raises(TypeError, match="is not a valid amount"):
        money.parse(value)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("300000", "300000"),
        ("3E+5", "300000"),
        ("300000.00", "300000"),
        ("12.50", "12.5"),
        ("1E-4", "0.0001"),
        ("0.00", "0"),
        ("0E+9", "0"),
        ("-0", "0"),
        ("-12.50", "-12.5"),
        ("12345678901234567890123456789012345.0678", "12345678901234567890123456789012345.0678"),
    ],
)
def test_an_amount_is_shown_with_the_digits_that_count(amount, shown):
    assert money.shown(Decimal(amount)) == shown
