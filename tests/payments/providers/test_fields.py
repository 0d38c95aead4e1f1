"""The fields of a provider's JSON: each notation of amounts, ids and times."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from orderctl import documents
from orderctl.errors import InvalidInput
from orderctl.payments.providers.fields import Fields
from orderctl.payments.transfer import Direction


def read(text: str) -> Fields:
    """Return the fields of an object with one field, ``x``."""
    return Fields.of(documents.parse(f'{{"x": {text}}}', "the payment"))


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("300000", "300000"),
        ("300000.00", "300000"),
        ("3e5", "300000"),
        ("300.000", "300"),  # a JSON number is exact
        ("12.50", "12.5"),
        ("299999.999", "299999.999"),
        ("0", "0"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("9007199254740993", "9007199254740993"),  # no double has it
        ("0.0001", "0.0001"),
        ('"300000"', "300000"),
        ('" 300000 "', "300000"),
        ('"+300000"', "300000"),
        ('"300,000"', "300000"),
        ('"1,300,000"', "1300000"),
        ('"1,300,000.50"', "1300000.5"),
        ('"12.50"', "12.5"),
        ('"12.5"', "12.5"),
        ('"0.500"', "0.5"),
        ('"300000.000"', "300000"),
        ('"3e5"', "300000"),
        ('"007"', "7"),
    ],
)
def test_an_amount_is_exact(text: str, amount: str) -> None:
    found, direction = read(text).money("x")

    assert (found, direction, found.is_signed()) == (Decimal(amount), Direction.IN, False)


@pytest.mark.parametrize("text", ["-5000", '"-5000"', '"-5,000"', "-5e3"])
def test_a_negative_amount_is_outgoing(text: str) -> None:
    assert read(text).money("x") == (Decimal(5000), Direction.OUT)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('"300.000"', "'300.000' is ambiguous: the dot may group digits"),
        ('"-300.000"', "is ambiguous"),
        ('"1.300.000"', "is ambiguous"),
        ('"300.000,50"', "is not a number such as 300000"),
        ('"30,00"', "is not a number such as"),
        ('"3,00,000"', "is not a number such as"),
        ('"0,300"', "is not a number such as"),
        ('"300 000"', "is not a number such as"),
        ('"300_000"', "is not a number such as"),
        ('"300000 VND"', "is not a number such as"),
        ('"300.000đ"', "is not a number such as"),
        ('"abc"', "'abc' is not a number such as"),
        ('"NaN"', "is not a number such as"),
        ('"Infinity"', "is not a number such as"),
        ('"٣٠٠٠"', "is not a number such as"),
        ('"12."', "is not a number such as"),
        ('".5"', "is not a number such as"),
        ('"  "', "is not a number such as"),
        ('"1\\n2"', "is not a number such as"),
        ('"1e99999999999999999999"', "is not a number"),
        (f'"{"9" * 5000}"', "not a number in the range of amounts"),
        ('""', "is missing"),
        ("null", "is missing"),
        ("true", "is not a number"),
        ("[300000]", "is not a number"),
        ("{}", "is not a number"),
        (str(10**30), "is not a valid amount"),
        ("0.00001", "is not a valid amount"),
        ("299999.99999", "is not a valid amount"),
    ],
)
def test_what_is_ambiguous_or_not_an_amount_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(text).money("x")

    assert str(caught.value).startswith("the payment's x")
    assert says in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("7", "7"),
        ('"7"', "7"),
        ("7.0", "7"),
        ("7e0", "7"),
        ('" 7 "', "7"),
        ('"007"', "007"),
        ("-7", "-7"),
        (str(10**30), str(10**30)),
        (str(10**150), str(10**150)),
        ("1e30", str(10**30)),
        ('"FT26-014"', "FT26-014"),
        ('"Nguyễn Văn A chuyển tiền"', "Nguyễn Văn A chuyển tiền"),
        ('""', None),
        ('"   "', None),
        ("null", None),
    ],
)
def test_an_id_is_one_whether_it_is_a_number_or_a_text(text: str, found: str | None) -> None:
    assert read(text).text("x") == found


@pytest.mark.parametrize("text", ["7.5", "true", "false", "[]", "{}", '["7"]', "1" + "0" * 300])
def test_another_kind_of_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="the payment's x is neither a text nor a whole number"):
        read(text).text("x")


def test_the_first_field_that_is_not_empty_counts() -> None:
    fields = Fields.of({"a": "", "b": None, "c": 3, "d": []})

    assert fields.text("a", "b", "c", "d") == "3"
    assert fields.needed("a", "c") == "3"
    with pytest.raises(InvalidInput, match="the payment's a is missing"):
        fields.needed("a", "b")


@pytest.mark.parametrize("document", [None, [], "x", 5, True, Decimal("1.5")])
def test_only_an_object_has_fields(document: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^the payment is not a JSON object$"):
        Fields.of(document)


@pytest.mark.parametrize(
    ("word", "direction"),
    [("in", "in"), (" IN ", "in"), ("out", "out"), ("Out", "out"), (None, "in"), ("", "in")],
)
def test_the_direction(word: str | None, direction: str) -> None:
    assert Fields.of({"x": 5, "way": word}).money("x", "way") == (5, Direction(direction))


def test_a_negative_amount_that_came_in_is_outgoing() -> None:
    assert Fields.of({"x": -5, "way": "in"}).money("x", "way") == (5, Direction.OUT)


@pytest.mark.parametrize("word", ["credit", "vào", "\x00", 7, ["in"], True])
def test_another_word_for_the_direction_is_refused(word: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^the payment's way .*neither"):
        Fields.of({"x": 5, "way": word}).money("x", "way")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("2026-03-25 14:02:37", datetime(2026, 3, 25, 7, 2, 37, tzinfo=UTC)),
        ("2026-03-25T14:02:37", datetime(2026, 3, 25, 7, 2, 37, tzinfo=UTC)),
        (" 2026-01-01 00:00:00 ", datetime(2025, 12, 31, 17, tzinfo=UTC)),
        ("2026-03-25T14:02:37Z", datetime(2026, 3, 25, 14, 2, 37, tzinfo=UTC)),
        ("2026-03-25T14:02:37.250+02:00", datetime(2026, 3, 25, 12, 2, 37, 250000, tzinfo=UTC)),
        ("2026-03-25", datetime(2026, 3, 24, 17, tzinfo=UTC)),
        ("25/03/2026 14:02", None),
        ("2026-02-30 00:00:00", None),
        ("0000-00-00 00:00:00", None),
        ("0001-01-01 00:00:00", None),
        ("9999-12-31T23:59:59-12:00", None),
        ("hôm qua", None),
        ("\x00", None),
        (1767225600, None),
        (["2026-03-25"], None),
        (True, None),
        ("", None),
        (None, None),
    ],
)
def test_a_time_is_that_of_vietnam_and_never_refused(value: Any, found: datetime | None) -> None:
    assert Fields.of({"x": value}).moment("x") == found


@pytest.mark.parametrize(("value", "found"), [("VND", "VND"), (" eur ", "EUR"), ("", None), (None, None)])
def test_a_currency_is_a_code(value: Any, found: str | None) -> None:
    assert Fields.of({"x": value}).currency("x") == found


@pytest.mark.parametrize("value", ["đồng", "VN", "VNĐ", "\u017f\u017f\u017f", 704, "VND\n€"])
def test_another_currency_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match=r"the payment's x .* is not the code of a currency, such as VND"):
        Fields.of({"x": value}).currency("x")
