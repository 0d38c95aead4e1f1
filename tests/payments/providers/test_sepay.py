"""SePay's webhook."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from orderctl.errors import InvalidInput
from orderctl.payments.providers.protocol import Secrets
from orderctl.payments.providers.sepay import SepayProvider
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

SEPAY = SepayProvider()
TOLD: dict[str, Any] = {
    "id": 4100217,
    "gateway": "Techcombank",
    "transactionDate": "2026-03-25 14:02:37",
    "accountNumber": "19030000111",
    "subAccount": None,
    "code": "DH123456",
    "content": "LE THI B chuyen tien DH123456",
    "transferType": "in",
    "transferAmount": 300000,
    "accumulated": 81300000,
    "referenceCode": "FT26084000017",
    "description": "BankAPINotify LE THI B chuyen tien DH123456",
}
READ = {
    "provider_id": "4100217",
    "bank": "Techcombank",
    "happened_at": datetime(2026, 3, 25, 7, 2, 37, tzinfo=UTC),
    "account": "19030000111",
    "code": "DH123456",
    "content": "LE THI B chuyen tien DH123456",
    "amount": Decimal(300000),
    "reference": "FT26084000017",
}


def told(**changes: Any) -> str:
    """Return the document with other fields; ``...`` leaves one out."""
    return json.dumps({name: value for name, value in (TOLD | changes).items() if value is not ...})


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({}, {}),
        ({"id": "4100217"}, {}),
        ({"id": 4100217.0}, {}),
        ({"transferAmount": "300000"}, {}),
        ({"transferAmount": "300,000"}, {}),
        ({"transferAmount": 300000.0}, {}),
        ({"transferAmount": 299999.999}, {"amount": Decimal("299999.999")}),
        ({"transferType": "IN"}, {}),
        ({"transferType": "out"}, {"direction": Direction.OUT}),
        ({"transferType": "out", "transferAmount": -300000}, {"direction": Direction.OUT}),
        ({"transferAmount": 0}, {"amount": Decimal(0)}),
        ({"code": None}, {"code": None}),
        ({"code": ""}, {"code": None}),
        ({"content": ""}, {"content": TOLD["description"]}),
        ({"content": None, "description": ...}, {"content": None}),
        ({"content": "NGUYỄN VĂN A\r\nchuyển\x00tiền"}, {"content": "NGUYỄN VĂN A chuyển tiền"}),
        ({"subAccount": "VA01"}, {}),
        ({"accountNumber": ...}, {"account": None}),
        ({"accountNumber": "", "subAccount": "VA01"}, {"account": "VA01"}),
        ({"referenceCode": ...}, {"reference": None}),
        ({"referenceCode": 3516}, {"reference": "3516"}),
        ({"accumulated": "?"}, {}),
        ({"transactionDate": "25/03/2026"}, {"happened_at": None}),
        ({"id": 10**30}, {"provider_id": str(10**30)}),
        ({"unknown": {"a": [1]}}, {}),
    ],
)
def test_a_transfer_is_read(changes: dict[str, Any], differs: dict[str, Any]) -> None:
    [transfer] = read(SEPAY, told(**changes))

    assert summary(transfer) == {k: v for k, v in (READ | differs).items() if v is not None}
    assert (transfer.provider, transfer.raw["gateway"]) == ("sepay", "Techcombank")


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("{}", {"ignored": "not a transfer"}),
        ('{"event": "ping", "id": 9}', {"ignored": "not a transfer"}),
        (told(id=0), {"ignored": "a test", "provider_id": "0"}),
    ],
)
def test_what_is_no_transfer_is_ignored(document: str, says: dict[str, Any]) -> None:
    [transfer] = read(SEPAY, document)

    assert summary(transfer) == says


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("null", "the payment is not a JSON object"),
        (f"[{told()}]", "the payment is not a JSON object"),
        (told(id=...), "the payment's id is missing"),
        (told(id=None), "the payment's id is missing"),
        (told(id=True), "the payment's id is neither"),
        (told(transferType=...), "the payment's transferType is missing"),
        (told(transferType="credit"), "the payment's transferType 'credit' is neither in nor out"),
        (told(transferAmount=...), "the payment's transferAmount is missing"),
        (told(transferAmount="300.000"), "the payment's transferAmount '300.000' is ambiguous"),
        (told(transferAmount=10**30), "the payment's transferAmount"),
        (told(content=["x"]), "the payment's content is neither"),
        (told(gateway=False), "the payment's gateway is neither"),
        ('{"content": "hello"}', "the payment's id is missing"),
    ],
)
def test_what_is_wrong_is_named(document: str, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(SEPAY, document)

    assert str(caught.value).startswith(says)


BODY = told()
TIME = f"{NOW:.0f}"
DIGITS = signed(f"{TIME}.{BODY}", "sha256")


@pytest.mark.parametrize("secrets", [WITH_KEY, WITH_BOTH])
@pytest.mark.parametrize("header", [f"Apikey {KEY}", f"apikey  {KEY} "])
def test_the_key_proves_a_request(header: str, secrets: Secrets) -> None:
    assert SEPAY.is_authentic(sent(authorization=header), secrets)


@pytest.mark.parametrize("secrets", [WITH_SECRET, WITH_BOTH])
@pytest.mark.parametrize(
    "signature", [f"sha256={DIGITS}", f" sha256={DIGITS.upper()}", f"sha256=0, sha256={DIGITS}"]
)
def test_a_signature_proves_a_request(signature: str, secrets: Secrets) -> None:
    for now in (NOW, NOW - 300, NOW + 300):
        assert SEPAY.is_authentic(
            sent(BODY, now, x_sepay_signature=signature, x_sepay_timestamp=f" {TIME} "), secrets
        )


@pytest.mark.parametrize(
    "delivery",
    [
        sent(),
        sent(authorization=f"Bearer {KEY}"),
        sent(authorization=f"Apikey {SECRET}"),
        sent(authorization="Apikey \u00e9"),
        sent(BODY, x_sepay_signature=f"sha256={DIGITS}"),
        sent(BODY, x_sepay_timestamp=TIME),
        sent(BODY, x_sepay_signature=DIGITS, x_sepay_timestamp=TIME),
        sent(BODY, x_sepay_signature=f"sha1={DIGITS}", x_sepay_timestamp=TIME),
        sent(BODY + "\n", x_sepay_signature=f"sha256={DIGITS}", x_sepay_timestamp=TIME),
        sent(BODY, NOW + 301, x_sepay_signature=f"sha256={DIGITS}", x_sepay_timestamp=TIME),
        sent(BODY, NOW - 301, x_sepay_signature=f"sha256={DIGITS}", x_sepay_timestamp=TIME),
        sent(BODY, x_sepay_signature=f"sha256={DIGITS}", x_sepay_timestamp=f"{NOW + 1:.0f}"),
        sent(BODY, x_sepay_signature="sha256=\u0111", x_sepay_timestamp=TIME),
        sent(BODY, x_sepay_signature=f"sha256={DIGITS}", x_sepay_timestamp="nay"),
    ],
)
def test_nothing_else_does(delivery: Any) -> None:
    for secrets in (Secrets(), WITH_KEY, WITH_SECRET, WITH_BOTH):
        assert not SEPAY.is_authentic(delivery, secrets)
