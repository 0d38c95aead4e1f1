"""Payments of the shop's own programs."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from orderctl.errors import InvalidInput
from orderctl.payments.providers.plain import PlainProvider
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

PLAIN = PlainProvider()
FULL = """{"code": "DH123456", "transferAmount": 300000, "bankName": "ACB", "id": 7, "transactionId": "T-9",
  "referenceCode": "FT26084", "content": "Thanh toán khoá học DH123456", "transferType": "in", "currency": "vnd",
  "accountNumber": "0071000123456", "transactionDate": "2026-03-25 14:02:37"}"""


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (
            '{"code": "DH123456", "transferAmount": 300000}',
            {"code": "DH123456", "amount": Decimal(300000)},
        ),
        (
            '{"code": " DH1 ", "transferAmount": "300,000", "bankName": "Ngân hàng Á Châu", "id": null}',
            {"code": "DH1", "amount": Decimal(300000), "bank": "Ngân hàng Á Châu"},
        ),
        (
            FULL,
            {
                "code": "DH123456",
                "amount": Decimal(300000),
                "bank": "ACB",
                "provider_id": "7",
                "reference": "FT26084",
                "alias": "T-9",
                "content": "Thanh toán khoá học DH123456",
                "currency": "VND",
                "account": "0071000123456",
                "happened_at": datetime(2026, 3, 25, 7, 2, 37, tzinfo=UTC),
            },
        ),
        (
            '{"content": "an ck dh3 hoc phi", "transferAmount": 12.50, "id": 7.0, "currency": "EUR"}',
            {
                "content": "an ck dh3 hoc phi",
                "amount": Decimal("12.5"),
                "provider_id": "7",
                "currency": "EUR",
            },
        ),
        (
            '{"code": 1001, "transferAmount": "5000", "transferType": "OUT", "accountNumber": 71000123}',
            {"code": "1001", "amount": Decimal(5000), "direction": Direction.OUT, "account": "71000123"},
        ),
        (
            '{"code": "DH1", "transferAmount": -5000, "id": "7"}',
            {"code": "DH1", "amount": Decimal(5000), "direction": Direction.OUT, "provider_id": "7"},
        ),
        (
            r'{"code": "DH1\u0000\n2", "transferAmount": 1, "bankName": "A\tB\u202e", "transactionDate": "hôm nay"}',
            {"code": "DH1 2", "amount": Decimal(1), "bank": "A B"},
        ),
        ('{"code": "DH1", "transferAmount": 0}', {"code": "DH1", "amount": Decimal(0)}),
        ("{}", {"ignored": "not a transfer"}),
        ('{"event": "ping", "id": 5}', {"ignored": "not a transfer"}),
    ],
)
def test_a_document_is_read(document: str, says: dict[str, Any]) -> None:
    [transfer] = read(PLAIN, document)

    assert summary(transfer) == says
    assert transfer.provider == "plain"


def test_what_came_is_kept_as_it_came() -> None:
    [transfer] = read(PLAIN, '{"code": "DH1", "transferAmount": 12.50, "more": [null, 0.1]}')

    assert transfer.raw == {
        "code": "DH1",
        "transferAmount": Decimal("12.50"),
        "more": [None, Decimal("0.1")],
    }


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("[]", "the payment is not a JSON object"),
        ("null", "the payment is not a JSON object"),
        ("300000", "the payment is not a JSON object"),
        ('"DH1"', "the payment is not a JSON object"),
        ('{"code": "DH1"}', "the payment's transferAmount is missing"),
        ('{"transferAmount": 300000}', "the payment's code is missing"),
        ('{"transferAmount": 300000, "code": " ", "content": null}', "the payment's code is missing"),
        ('{"transferAmount": 300000, "code": ["DH1"]}', "the payment's code is neither a text nor"),
        ('{"transferAmount": true, "code": "DH1"}', "the payment's transferAmount is not a number"),
        (
            '{"transferAmount": "300.000", "code": "DH1"}',
            "the payment's transferAmount '300.000' is ambiguous",
        ),
        ('{"transferAmount": 1, "code": "DH1", "id": true}', "the payment's id is neither a text nor"),
        ('{"transferAmount": 1, "code": "DH1", "id": 7.5}', "the payment's id is neither a text nor"),
        ('{"transferAmount": 1, "code": "DH1", "bankName": {}}', "the payment's bankName is neither a text"),
        ('{"transferAmount": 1, "code": "DH1", "currency": "đồng"}', "the payment's currency 'đồng' is not"),
        (
            '{"transferAmount": 1, "code": "DH1", "transferType": "credit"}',
            "the payment's transferType 'credit'",
        ),
    ],
)
def test_what_is_wrong_is_named(document: str, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(PLAIN, document)

    assert str(caught.value).startswith(says)


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ('"id": 7', '"id": 7'),
        ('"id": 7', '"id": "7"'),
        ('"id": 7', '"id": 7.0'),
        ('"id": 7', '"id": 7, "referenceCode": "FT1"'),
        ('"transactionId": "T"', '"transactionId": " T "'),
        ('"transactionId": "T"', '"transactionId": "T", "id": 7'),
        ('"id": 7', '"id": 7, "transactionId": "T"'),
        ('"id": 7', '"id": 7, "transactionId": "T", "referenceCode": "FT1"'),
    ],
)
def test_a_transfer_that_is_sent_again_with_more_keeps_its_name(first: str, later: str) -> None:
    [one], [two] = (read(PLAIN, f'{{"code": "DH1", "transferAmount": 1, {ids}}}') for ids in (first, later))

    assert one.provider_id is not None
    assert one.provider_id in {two.provider_id, two.reference}


def test_a_reference_alone_is_no_id_of_the_provider() -> None:
    [transfer] = read(PLAIN, '{"code": "DH1", "transferAmount": 1, "referenceCode": 84}')

    assert (transfer.provider_id, transfer.reference) == (None, "84")


BODY = '{"code": "DH1", "transferAmount": 1}'
TIME = f"{NOW:.0f}"
SIGNATURE = f"t={TIME},v1={signed(f'{TIME}.{BODY}', 'sha256')}"


@pytest.mark.parametrize("secrets", [WITH_KEY, WITH_BOTH])
@pytest.mark.parametrize("scheme", ["Apikey", "apikey", "Bearer"])
def test_the_key_proves_a_request(scheme: str, secrets: Secrets) -> None:
    assert PLAIN.is_authentic(sent(authorization=f"{scheme} {KEY}"), secrets)


@pytest.mark.parametrize("secrets", [WITH_SECRET, WITH_BOTH])
@pytest.mark.parametrize("now", [NOW, NOW - 300, NOW + 300])
def test_a_signature_proves_a_request(now: float, secrets: Secrets) -> None:
    assert PLAIN.is_authentic(sent(BODY, now, x_orderctl_signature=SIGNATURE), secrets)


@pytest.mark.parametrize(
    "delivery",
    [
        sent(),
        sent(authorization="Apikey None"),
        sent(authorization=f"Basic {KEY}"),
        sent(authorization=f"Apikey {SECRET}"),
        sent(authorization="Apikey kh\u00f3a"),
        sent(secure_token=KEY),
        sent(BODY + " ", x_orderctl_signature=SIGNATURE),
        sent(BODY, NOW + 301, x_orderctl_signature=SIGNATURE),
        sent(BODY, NOW - 301, x_orderctl_signature=SIGNATURE),
        sent(BODY, x_orderctl_signature=SIGNATURE.replace(f"t={TIME}", f"t={NOW + 1:.0f}")),
        sent(BODY, x_orderctl_signature=f"t={TIME},v1={signed(f'{TIME}.{BODY}', 'sha256', KEY)}"),
        sent(BODY, x_orderctl_signature="t=\u0665,v1=\u0111"),
    ],
)
def test_nothing_else_does(delivery: Any) -> None:
    for secrets in (Secrets(), WITH_KEY, WITH_SECRET, WITH_BOTH):
        assert not PLAIN.is_authentic(delivery, secrets)
