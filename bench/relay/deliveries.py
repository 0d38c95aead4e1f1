"""What banks tell the payment webhook, and what strangers pretend to be told by them, for the fuzzer."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import func, select

from bench.relay.requests import Case
from orderctl import database
from orderctl.schema import payments
from tests.relay.wire import chunks, request

PATH: Final = "/api/payment/webhook"
#: Stands in each document that does not come from a bank: no such document may reach the ledger.
STRANGER: Final = "from-a-stranger"
KEYS: Final[Mapping[str, str]] = {
    "plain": "plain-key-7d1f0c5b9e",
    "sepay": "sepay-key-2b8e6a4c1d",
    "casso": "casso-key-5f3a9d7e0b",
}
SECRET: Final = "signing-key-8c2e4b6a0f"
#: The settings of the relay that the fuzzer attacks.
SETTINGS: Final[Mapping[str, str]] = {
    "payments_providers": "plain,sepay,casso",
    **{f"payments_{name}_api_key": key for name, key in KEYS.items()},
    **{f"payments_{name}_secret": SECRET for name in KEYS},
}

_PLAIN: Final = {"code": "DH1", "transferAmount": 300_000, "bankName": "ACB", "transactionId": "T1"}
_SEPAY: Final = {
    "id": 92704,
    "gateway": "Vietcombank",
    "transactionDate": "2026-03-25 14:02:37",
    "accountNumber": "0123499999",
    "code": None,
    "content": "an ck dh1 hoc phi",
    "transferType": "in",
    "transferAmount": 2_277_000,
    "accumulated": 19_077_000,
    "subAccount": None,
    "referenceCode": "MBVCB.3278907687",
    "description": "",
}
_CASSO: Final = {
    "error": 0,
    "data": [
        {
            "id": 6789,
            "tid": "BANK_REF_ID",
            "description": "DH1",
            "amount": 79_000,
            "when": "2026-03-25 14:02:37",
            "bank_sub_acc_id": "123456789",
        }
    ],
}
_SEEDS: Final[Mapping[str, Any]] = {"plain": _PLAIN, "sepay": _SEPAY, "casso": _CASSO}
_ODD: Final[Sequence[Any]] = (
    *(None, True, False, 0, -1, 1, 1.5, -0.0, 1e300, 10**40, "", " ", "DH1", "0", "1e3", "1,000", "١٢"),
    *("\x00", "\ud800", "\U0001f4b8", "x" * 300, "-5", "in", "out", [], {}, [[]], {"": None}, [1, "2"]),
)


def delivery(chance: random.Random, _fields: Sequence[str]) -> Case:
    """Return one POST to the payment webhook: of a bank or of a stranger, with any body."""
    provider = chance.choice(list(KEYS))
    target = chance.choice(
        [PATH, f"{PATH}/{provider}", f"{PATH}/{chance.choice(['plain', 'casso', 'x', ''])}"]
    )
    known = chance.random() < 0.6
    body = _body(chance, provider, known=known)
    proof = _proof(chance, provider, body) if known else chance.choice(_FORGED)(chance, body)
    fields = ["Content-Type: application/json", *proof]
    if chance.random() < 0.3:
        parts = [body[place : place + 5000] for place in range(0, len(body), 5000)]
        data = request("POST", target, *fields, "Transfer-Encoding: chunked") + chunks(*parts)
    else:
        data = request("POST", target, *fields, body=body)
    return Case(data, ("POST",), (target,))


def mutated(chance: random.Random, fields: Sequence[str]) -> Case:
    """Return such a POST with bytes changed or cut."""
    changed = bytearray(delivery(chance, fields).data[:40_000])
    for _ in range(chance.randrange(1, 4)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return Case(
        bytes(changed[: chance.choice([len(changed), chance.randrange(len(changed))])]), None, served=False
    )


def ledger(url: str) -> tuple[int, int]:
    """Return how many transfers the ledger has, and how many of them strangers told of."""
    engine = database.connect(url)
    raw = payments.c.raw
    query = select(
        func.count(), func.count().filter(raw.contains(STRANGER) | payments.c.content.contains(STRANGER))
    )
    with database.reading(engine) as connection:
        written, forged = connection.execute(query.select_from(payments)).one()
    engine.dispose()
    return written, forged


def _proof(chance: random.Random, provider: str, body: bytes) -> list[str]:
    """Return the headers by which a request is known as the provider's."""
    if chance.random() < 0.7:
        name = "secure-token: " if provider == "casso" else "Authorization: Apikey "
        return [f"{name}{KEYS[provider]}"]
    now = int(time.time())
    if provider == "casso":
        return [f"X-Casso-Signature: t={now}000,v1={_sign(hashlib.sha512, b'%d000.' % now + _sorted(body))}"]
    signature = _sign(hashlib.sha256, b"%d." % now + body)
    if provider == "sepay":
        return [f"X-SePay-Timestamp: {now}", f"X-SePay-Signature: sha256={signature}"]
    return [f"X-Orderctl-Signature: t={now},v1={signature}"]


def _sorted(body: bytes) -> bytes:
    try:
        value = json.loads(body)
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return body


def _sign(digest: Any, data: bytes) -> str:
    return hmac.new(SECRET.encode(), data, digest).hexdigest()


_FORGED: Final[Sequence[Callable[[random.Random, bytes], list[str]]]] = (
    lambda _chance, _body: [],
    lambda _chance, _body: ["Authorization: Apikey"],
    lambda _chance, _body: ["Authorization: Bearer x", "secure-token: x"],
    lambda chance, _body: [
        f"Authorization: Apikey {chance.randbytes(200).decode('latin-1').translate(_VISIBLE)}"
    ],
    lambda _chance, _body: ["Authorization: Apikey \xe9\xff", "X-Casso-Signature: \xe9"],
    lambda _chance, body: [
        f"X-SePay-Signature: sha256={hashlib.sha256(body).hexdigest()}",
        "X-SePay-Timestamp: 1",
    ],
    lambda _chance, _body: ["X-SePay-Signature: sha256=", f"X-SePay-Timestamp: {'9' * 5000}"],
    lambda _chance, _body: ["X-Casso-Signature: t=1,v1=" + "0" * 128, "X-Orderctl-Signature: t=x,v1=,v1=,t="],
    lambda _chance, _body: ["X-Casso-Signature: " + "t=1," * 1000],
)
_VISIBLE: Final = dict.fromkeys((*range(33), *range(127, 161)), "x")


def _body(chance: random.Random, provider: str, *, known: bool) -> bytes:
    value = _changed(chance, _SEEDS[provider])
    if not known:
        value = {**value, "content": STRANGER} if isinstance(value, dict) else [STRANGER, value]
    whole = json.dumps(value, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    return chance.choice(_BODIES)(chance, whole)


Body = Callable[[random.Random, bytes], bytes]

_BODIES: Final[Sequence[Body]] = (
    *[lambda _chance, whole: whole] * 6,
    lambda chance, whole: whole[: chance.randrange(len(whole) + 1)],
    lambda _chance, whole: b"\xef\xbb\xbf" + whole,
    # The relay reads a mebibyte of what it has refused, and then hangs up.
    lambda chance, _whole: (chance.choice(_DEEP) * chance.choice([1, 40, 900, 20_000]))[:900_000],
    lambda _chance, whole: b'{"id":1,' + whole.lstrip(b"{"),
    lambda chance, _whole: chance.choice(_NOT_JSON),
    lambda chance, whole: whole + b" " * chance.choice([1000, 250_000, 300_000]),
)
_DEEP: Final = (b"[", b'{"a":', b'"', b"-", b"1" * 300)
_NOT_JSON: Final = (b"", b"\r\n", b"\xff\xfe{", b"a=1&b=2", b"NaN", b"null", b"[1e999]", b"9" * 9000)


def _changed(chance: random.Random, value: Any) -> Any:
    """Return a copy of a JSON value in which some values are odd, and some missing."""
    if chance.random() < 0.05:
        return chance.choice(_ODD)
    if isinstance(value, dict):
        kept = {name: _changed(chance, inner) for name, inner in value.items() if chance.random() > 0.04}
        return kept | (
            {chance.choice(["id", "code", "x", ""]): chance.choice(_ODD)} if chance.random() < 0.1 else {}
        )
    if isinstance(value, list):
        return [_changed(chance, inner) for inner in value * chance.choice([0, 1, 1, 1, 2, 30])]
    if isinstance(value, int) and value > 9:
        return chance.choice([value, chance.randrange(10**6), str(value)])
    return value
