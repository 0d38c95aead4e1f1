"""The requests of each provider, as it documents them, with keys and signatures that belong to this test."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.faults.payments.book import Delivery, Told

KEY = "62af72ba5e95aeaf348c16885dae2dcd6d28f463"
SECRET = "7c1ec397c6a2a5a95af9deb15741140e57aa4c99"
NAMES = ("ACB", "Vietcombank", "Techcombank", "MBBank")
#: The reference in Casso's tests, whose id is 0.
TEST = "MA_GIAO_DICH_THU_NGHIEM"
WHEN = "2026-11-29 10:00:00"


class Provider(Enum):
    """Who tells of transfers."""

    SEPAY = "sepay"
    CASSO = "casso"
    PLAIN = "plain"


#: What the relay has to know of them.
SETTINGS = {
    "ORDERCTL_PAYMENTS_PROVIDERS": ",".join(provider.value for provider in Provider),
    **{f"ORDERCTL_PAYMENTS_{provider.name}_API_KEY": KEY for provider in Provider},
    **{f"ORDERCTL_PAYMENTS_{provider.name}_SECRET": SECRET for provider in Provider},
}


def document(told: Sequence[Told], *, without: str = "") -> Any:
    """Return what a provider sends for transfers of its own; several are one list of Casso's.

    Args:
        told: The transfers.
        without: ``number`` or ``reference``: what it does not know yet.
    """
    [provider] = {transfer.provider for transfer in told}
    if provider is Provider.CASSO:
        return _casso(told)
    [transfer] = told
    made = (_sepay if provider is Provider.SEPAY else _plain)(transfer)
    for name in {"number": ("id",), "reference": ("referenceCode",)}.get(without, ()):
        made.pop(name, None)
    return made


def _is_out(told: Told) -> bool:
    return told.kind.name == "IGNORED"


def _sepay(told: Told) -> dict[str, Any]:
    return {
        "id": told.number,
        "gateway": told.bank,
        "transactionDate": WHEN,
        "accountNumber": "0123499999",
        "subAccount": None,
        "code": told.code if told.text is None else None,
        "content": told.text or "hoc phi",
        "transferType": "out" if _is_out(told) else "in",
        "transferAmount": told.amount,
        "accumulated": 19_077_000,
        "referenceCode": told.reference,
        "description": f"BankAPINotify {told.text or told.code}",
    }


def _plain(told: Told) -> dict[str, Any]:
    made = {
        "code": told.code,
        "transferAmount": told.amount,
        "bankName": told.bank,
        "id": told.number,
        "referenceCode": told.reference,
        "transferType": "out" if _is_out(told) else None,
    }
    return {name: value for name, value in made.items() if value is not None}


def _casso(told: Sequence[Told]) -> dict[str, Any]:
    """Return a list of the first version, or for a single transfer with an even id the second version's object."""
    first = told[0]
    if len(told) == 1 and first.number % 2 == 0:
        return {"error": 0, "data": {
            "id": first.number, "reference": first.reference or TEST, "description": first.text,
            "amount": first.amount * (-1 if _is_out(first) else 1), "runningBalance": 25_000_000,
            "transactionDateTime": WHEN, "accountNumber": "88888888", "bankName": first.bank,
            "bankAbbreviation": first.bank, "virtualAccountNumber": "", "virtualAccountName": "",
            "counterAccountName": "NGUYỄN VĂN A", "counterAccountNumber": "8888", "counterAccountBankId": "970415",
            "counterAccountBankName": "VietinBank",
        }}  # fmt: skip
    return {"error": 0, "data": [
        {
            "id": one.number, "tid": one.reference or TEST, "description": one.text,
            "amount": one.amount * (-1 if _is_out(one) else 1), "cusum_balance": 25_000_000, "when": WHEN,
            "bank_sub_acc_id": "88888888", "subAccId": "88888888", "bankName": one.bank,
            "bankAbbreviation": one.bank, "virtualAccount": "", "virtualAccountName": "",
            "corresponsiveName": "NGUYỄN VĂN A", "corresponsiveAccount": "8888", "corresponsiveBankId": "970415",
            "corresponsiveBankName": "VietinBank",
        }
        for one in told
    ]}  # fmt: skip


def request(delivery: Delivery) -> tuple[str, bytes, dict[str, str]]:
    """Return the path, the body and the headers of a delivery, signed now."""
    body = json.dumps(delivery.document).encode()
    named = f"/{delivery.provider.value}" if delivery.by_name else ""
    proof = (_sign if delivery.signed else _show_key)(delivery, body)
    return f"/api/payment/webhook{named}", body, {"Content-Type": "application/json"} | proof


def _show_key(delivery: Delivery, _: bytes) -> dict[str, str]:
    if delivery.provider is Provider.CASSO:
        return {"secure-token": KEY}
    return {"Authorization": f"Apikey {KEY}"}


def _sign(delivery: Delivery, body: bytes) -> dict[str, str]:
    now = int(time.time())
    if delivery.provider is Provider.CASSO:
        now *= 1000
        body = json.dumps(
            delivery.document, sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()
        return {"X-Casso-Signature": f"t={now},v1={_hmac(hashlib.sha512, now, body)}"}
    signature = _hmac(hashlib.sha256, now, body)
    if delivery.provider is Provider.SEPAY:
        return {"X-SePay-Signature": f"sha256={signature}", "X-SePay-Timestamp": str(now)}
    return {"X-Orderctl-Signature": f"t={now},v1={signature}"}


def _hmac(algorithm: Any, now: int, body: bytes) -> str:
    return hmac.new(SECRET.encode(), b"%d." % now + body, algorithm).hexdigest()
