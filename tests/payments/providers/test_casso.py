"""Casso's webhook, in both versions."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from orderctl.errors import InvalidInput
from orderctl.payments.providers.casso import CassoProvider
from orderctl.payments.providers.protocol import Secrets
from orderctl.payments.transfer import Direction
from tests.payments.providers.deliveries import (
    KEY,
    NOW,
    SECRET,
    WITH_BOTH,
    WITH_KEY,
    WITH_SECRET,
    read,
    sent,
    signed,
    summary,
)

CASSO = CassoProvider()
FIRST: dict[str, Any] = {
    "id": 910044,
    "tid": "FT26084000017",
    "description": "LE THI B chuyển tiền DH123456",
    "amount": 300000,
    "cusum_balance": 81300000,
    "when": "2026-03-25 14:02:37",
    "bank_sub_acc_id": "19030000111",
    "subAccId": "19030000111",
    "bankName": "Techcombank",
    "bankAbbreviation": "TCB",
    "virtualAccount": "",
    "corresponsiveName": "LE THI B",
    "corresponsiveAccount": "0071000123456",
}
SECOND: dict[str, Any] = {
    "id": 910044,
    "reference": "FT26084000017",
    "description": "LE THI B chuyển tiền DH123456",
    "amount": 300000,
    "runningBalance": 81300000,
    "transactionDateTime": "2026-03-25 14:02:37",
    "accountNumber": "19030000111",
    "bankName": "Techcombank",
    "bankAbbreviation": "TCB",
    "virtualAccountNumber": "",
    "counterAccountName": "LE THI B",
    "counterAccountNumber": "0071000123456",
}
READ = {
    "provider_id": "910044",
    "bank": "Techcombank",
    "happened_at": datetime(2026, 3, 25, 7, 2, 37, tzinfo=UTC),
    "account": "19030000111",
    "content": "LE THI B chuyển tiền DH123456",
    "amount": Decimal(300000),
    "reference": "FT26084000017",
}
TESTS = (
    {"id": 0, "tid": "MA_GIAO_DICH_THU_NGHIEM", "amount": 599000},
    {"id": 0, "reference": "MA_GIAO_DICH_THU_NGHIEM", "amount": "abc"},
    {"id": 5, "reference": "MA_GIAO_DICH_THU_NGHIEM"},
    {"id": "0", "tid": None, "amount": 599000},
)


def told(*items: dict[str, Any]) -> str:
    return json.dumps({"error": 0, "data": list(items)})


@pytest.mark.parametrize("item", [FIRST, SECOND])
@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({}, {}),
        ({"id": "910044"}, {}),
        ({"id": 910044.0}, {}),
        ({"amount": "300,000"}, {}),
        ({"amount": 300000.5}, {"amount": Decimal("300000.5")}),
        ({"amount": -300000}, {"direction": Direction.OUT}),
        ({"amount": "-300000"}, {"direction": Direction.OUT}),
        ({"amount": 0}, {"amount": Decimal(0)}),
        ({"description": None}, {"content": None}),
        ({"bankName": None}, {"bank": "TCB"}),
        ({"tid": None, "reference": ""}, {"reference": None}),
        ({"when": "25/3", "transactionDateTime": 5}, {"happened_at": None}),
    ],
)
def test_a_transfer_is_read(item: dict[str, Any], changes: dict[str, Any], differs: dict[str, Any]) -> None:
    item = {**item, **changes}
    expected = {name: value for name, value in (READ | differs).items() if value is not None}

    [in_list] = read(CASSO, told(item))
    [alone] = read(CASSO, json.dumps({"error": 0, "data": item}))

    assert summary(in_list) == summary(alone) == expected
    assert in_list.raw == alone.raw
    assert in_list.raw["id"] == item["id"]


def test_a_list_gives_all_its_transfers() -> None:
    found = read(CASSO, told(FIRST, FIRST | {"id": 2, "amount": -1}, TESTS[0], {"note": "x"}))

    assert [one.why_ignored for one in found] == [None, "outgoing", "a test", "not a transfer"]
    assert [one.provider_id for one in found] == ["910044", "2", "0", None]


@pytest.mark.parametrize("item", TESTS)
def test_a_test_is_ignored_whatever_else_it_has(item: dict[str, Any]) -> None:
    for document in (told(item), json.dumps({"error": 0, "data": item})):
        [transfer] = read(CASSO, document)

        assert (transfer.ignored, transfer.provider_id) == ("a test", str(item["id"]))


@pytest.mark.parametrize("error", ["1", '"E1"', "true", "[0]", '{"code": 0}', "0.5"])
def test_an_error_is_no_transfer(error: str) -> None:
    for data in ("null", "[]", "{}", '{"note": 1}', json.dumps([FIRST])):
        [transfer] = read(CASSO, f'{{"error": {error}, "data": {data}}}')

        assert summary(transfer) == {"ignored": "an error of the provider's"}


@pytest.mark.parametrize("error", ["0", "null", '"0"', "0.0", "false"])
def test_an_envelope_without_a_transfer_is_ignored(error: str) -> None:
    for data in ("null", "[]", "{}", '{"note": 1}'):
        [transfer] = read(CASSO, f'{{"error": {error}, "data": {data}}}')

        assert summary(transfer) == {"ignored": "not a transfer"}


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("null", "the payment is not a JSON object"),
        ("[]", "the payment is not a JSON object"),
        ('{"error": 0, "data": 5}', "the payment's data is not a JSON object"),
        ('{"error": 0, "data": "x"}', "the payment's data is not a JSON object"),
        ('{"error": 0, "data": false}', "the payment's data is not a JSON object"),
        ('{"error": 0, "data": [{}, null]}', "the payment's data[1] is not a JSON object"),
        (told(FIRST, FIRST | {"id": None}), "the payment's data[1].id is missing"),
        (told(FIRST | {"id": []}), "the payment's data[0].id is neither"),
        (told(FIRST | {"amount": None}), "the payment's data[0].amount is missing"),
        (told(FIRST | {"amount": "300.000"}), "the payment's data[0].amount '300.000' is ambiguous"),
        (told(FIRST | {"tid": {}}), "the payment's data[0].tid is neither"),
        (json.dumps({"error": 0, "data": {"amount": 5}}), "the payment's data.id is missing"),
    ],
)
def test_what_is_wrong_is_named(document: str, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(CASSO, document)

    assert str(caught.value).startswith(says)


#: As it may be sent: blanks, escapes, a number that JavaScript writes otherwise, objects in a list.
BODY = r'{"error": 0, "data": {"id": 5.0, "description": "chuy\u1ec3n /", "amount": 1.50, "x": [{"b": 1, "a": 2}]}}'
OBJECTS = '{"data":{"amount":1.5,"description":"chuyển /","id":5,"x":[{"b":1,"a":2}]},"error":0}'
LISTS = OBJECTS.replace('{"b":1,"a":2}', '{"a":2,"b":1}')
TIME = "1770000000123"


def stamped(message: str, secret: str = SECRET) -> str:
    return f"t={TIME},v1={signed(f'{TIME}.{message}', 'sha512', secret)}"


@pytest.mark.parametrize("secrets", [WITH_KEY, WITH_BOTH])
@pytest.mark.parametrize("token", [KEY, f"  {KEY} ", f"x, {KEY}"])
def test_the_key_of_the_first_version_proves_a_request(token: str, secrets: Secrets) -> None:
    assert CASSO.is_authentic(sent(secure_token=token), secrets)


@pytest.mark.parametrize("secrets", [WITH_SECRET, WITH_BOTH])
@pytest.mark.parametrize("message", [BODY, OBJECTS, LISTS])
def test_the_signature_of_the_second_version_proves_a_request(message: str, secrets: Secrets) -> None:
    for header in (stamped(message), f"t=1,v1=00, {stamped(message)}"):
        assert CASSO.is_authentic(sent(BODY, x_casso_signature=header), secrets)


def test_a_signature_may_be_old() -> None:
    assert CASSO.is_authentic(sent(BODY, NOW + 86400, x_casso_signature=stamped(OBJECTS)), WITH_SECRET)


def test_a_long_body_is_not_read_for_a_stranger() -> None:
    body = BODY[:-1] + f', "more": "{"x" * 40_000}"}}'
    ordered = OBJECTS[:-1] + f', "more":"{"x" * 40_000}"}}'.replace(" ", "")

    assert CASSO.is_authentic(sent(body, x_casso_signature=stamped(body)), WITH_SECRET)
    assert not CASSO.is_authentic(sent(body, x_casso_signature=stamped(ordered)), WITH_SECRET)


def test_a_body_that_is_not_json_may_be_signed() -> None:
    for body in (b"", b"\xff", b"NaN", b"[" * 100_000, b'"\\ud800"', b"9" * 5000):
        signature = f"t={TIME},v1={signed(TIME.encode() + b'.' + body, 'sha512')}"
        assert CASSO.is_authentic(sent(body, x_casso_signature=signature), WITH_SECRET)
        assert not CASSO.is_authentic(sent(body, x_casso_signature=stamped("x")), WITH_SECRET)


@pytest.mark.parametrize(
    "delivery",
    [
        sent(BODY),
        sent(BODY, secure_token=SECRET),
        sent(BODY, secure_token=f"Apikey {KEY}"),
        sent(BODY, authorization=f"Apikey {KEY}"),
        sent(BODY, secure_token="\u0111"),
        sent(BODY, x_casso_signature=stamped(OBJECTS.replace("1.5", "1.50"))),
        sent(BODY.replace("1.50", "150"), x_casso_signature=stamped(OBJECTS)),
        sent(BODY, x_casso_signature=stamped(OBJECTS).replace(TIME, TIME[:-1])),
        sent(BODY, x_casso_signature=stamped(OBJECTS, KEY)),
        sent(BODY, x_casso_signature=stamped(OBJECTS).removeprefix(f"t={TIME},")),
        sent(BODY, x_casso_signature="t=\ud800,v1=\u0111"),
    ],
)
def test_nothing_else_does(delivery: Any) -> None:
    for secrets in (Secrets(), WITH_KEY, WITH_SECRET, WITH_BOTH):
        assert not CASSO.is_authentic(delivery, secrets)
