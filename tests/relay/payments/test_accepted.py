"""Which providers the settings allow, and whose a request is."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from orderctl.errors import InvalidInput, Misconfigured
from orderctl.payments.providers.protocol import Delivery, Secrets
from orderctl.payments.transfer import Transfer
from orderctl.relay.payments.accepted import Accepted, NotAuthentic, ProviderFault, Sender, choose
from orderctl.settings import Settings, load

KEYS = {
    "payments.plain_api_key": "plain-key-0123456789abcdef",
    "payments.sepay_api_key": "sepay-key-0123456789abcdef",
    "payments.casso_api_key": "casso-key-0123456789abcdef",
}
COMMON = {"payments.api_key": "common-key-0123456789abcdef"}
PLAIN = {"code": "DH1", "transferAmount": 300_000}
SEPAY = {
    "id": 1,
    "gateway": "ACB",
    "transferType": "in",
    "transferAmount": 1,
    "content": "DH1",
    "accountNumber": "1",
}
SEPAY |= {"transactionDate": "2026-01-02 03:04:05", "referenceCode": "A1", "code": None}
ALL = {"payments.providers": "plain,sepay,casso"} | KEYS
WITH_ALL = ["plain", "sepay", "casso"]


def settings(**flags: str) -> Settings:
    return load(flags, environ={"ORDERCTL_ALONE": "1"})


class Faulty:
    """A provider of the shop's own, as it may be written on its first day."""

    name = "faulty"

    def recognises(self, document: Any) -> bool:
        return bool(document["magic"])

    def is_authentic(self, delivery: Delivery, secrets: Secrets) -> bool:
        return delivery.headers["x-faulty"] == secrets.api_key

    def read(self, document: Any) -> Any:
        transfer = Transfer(self.name, Decimal(1), provider_id="1", code="DH1")
        return {
            "none": None,
            "empty": [],
            "dict": [{}],
            "float": [replace(transfer, amount=1.5)],  # type: ignore[arg-type]
            "number": [replace(transfer, provider_id=7)],  # type: ignore[arg-type]
            "other": [replace(transfer, provider="sepay")],
            "right": (transfer,),
        }[document["magic"]]


class TestChoose:
    @pytest.mark.parametrize(
        ("flags", "names"),
        [
            (KEYS, ["plain"]),
            (COMMON, ["plain"]),
            ({"payments.providers": "sepay"} | COMMON, ["sepay"]),
            (ALL, WITH_ALL),
        ],
    )
    def test_each_provider_has_its_secret(self, flags: dict[str, str], names: list[str]):
        accepted = choose(settings(**flags))

        assert accepted.guarded
        assert list(accepted.senders) == names
        assert all(any(sender.secrets) for sender in accepted.senders.values())

    @pytest.mark.parametrize("kind", ["api_key", "secret"])
    def test_blanks_around_a_secret_are_none_of_it(self, kind: str):
        accepted = choose(settings(**{f"payments.plain_{kind}": "\t plain key 0123456789 \r\n"}))

        assert getattr(accepted.senders["plain"].secrets, kind) == "plain key 0123456789"

    @pytest.mark.parametrize(
        ("flags", "named"),
        [
            ({}, "payments.plain_api_key"),
            ({"payments.providers": "sepay"}, "payments.sepay_api_key"),
            (
                {
                    "payments.providers": "plain,casso",
                    "payments.plain_api_key": KEYS["payments.plain_api_key"],
                }
                | COMMON,
                "casso",
            ),
            ({"payments.providers": "nobody"} | COMMON, "payments.providers"),
            ({"payments.providers": ""} | COMMON, "payments.providers"),
        ],
    )
    def test_one_without_a_secret_or_unknown_is_refused(self, flags: dict[str, str], named: str):
        with pytest.raises(Misconfigured, match=named):
            choose(settings(**flags))

    def test_the_way_to_try_it_out_is_named_where_it_is_one(self):
        with pytest.raises(Misconfigured) as here:
            choose(settings())
        with pytest.raises(Misconfigured) as public:
            choose(settings(**{"relay.host": "0.0.0.0"}))

        assert "--payments-without-secret" in str(here.value.hint)
        assert "--payments-without-secret" not in str(public.value.hint)

    @pytest.mark.parametrize(
        ("flags", "named"),
        [
            ({"payments.providers": "plain,sepay"}, "sepay"),
            ({"relay.host": "0.0.0.0"}, "relay.host"),
            (KEYS, "plain has a secret"),
            (COMMON, "plain has a secret"),
        ],
    )
    def test_without_a_secret_only_plain_on_this_machine(self, flags: dict[str, str], named: str):
        with pytest.raises(Misconfigured, match=named):
            choose(settings(**flags), without_secret=True)

    def test_without_a_secret(self):
        assert not choose(settings(), without_secret=True).guarded


def read(accepted: Accepted, document: Any, name: str | None = None, **headers: str) -> list[str]:
    """Return the providers that are said to tell of the transfers."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return [transfer.provider for transfer in accepted.read(Delivery(headers, body, 0.0), name)]


class TestRead:
    ALL = choose(settings(**ALL))
    PLAIN = f"Apikey {KEYS['payments.plain_api_key']}"
    SEPAY = f"Apikey {KEYS['payments.sepay_api_key']}"

    def test_the_provider_is_told_apart_by_the_fields(self):
        assert read(self.ALL, PLAIN, authorization=self.PLAIN) == ["plain"]
        assert read(self.ALL, SEPAY, authorization=self.SEPAY) == ["sepay"]

    def test_a_document_of_another_provider_than_the_sender_is_refused(self):
        with pytest.raises(NotAuthentic):
            read(self.ALL, SEPAY, authorization=self.PLAIN)

    def test_a_document_of_no_provider_is_kept_by_the_one_that_sent_it(self):
        assert read(self.ALL, {"ping": True}, authorization=self.SEPAY) == ["sepay"]

    @pytest.mark.parametrize("name", [None, *WITH_ALL])
    @pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 10_000, b"17"])
    def test_nothing_is_said_of_the_body_before_the_sender_is_known(self, name: str | None, body: bytes):
        with pytest.raises(NotAuthentic):
            read(self.ALL, body, name, authorization="Apikey wrong")

    @pytest.mark.parametrize("name", [None, "sepay"])
    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (b"", "the body is empty"),
            (b" \r\n", "the body is empty"),
            (b"\xef\xbb\xbf", "the body is empty"),
            (b"{", "the body is not JSON"),
            (b"a=b", "the body is not JSON"),
            (b'{"id": 1, "id": 2}', "'id' occurs twice"),
            (b'{"id": NaN}', "NaN is not a number"),
            (b'{"id": "\xe9"}', "the body is not UTF-8: byte 9 is not valid"),
            ('{"id": 1}'.encode("utf-16"), "the body is not UTF-8: byte 1 is not valid"),
            (b"[" * 100_000, "nested too deeply"),
            (b'{"a":' * 60 + b"1" + b"}" * 60, "nested too deeply"),
            (b"1" * 5000, "the body is not JSON"),
        ],
    )
    def test_a_body_that_is_not_json_is_refused_with_the_reason(
        self, name: str | None, body: bytes, said: str
    ):
        with pytest.raises(InvalidInput, match=said):
            read(self.ALL, body, name, authorization=self.SEPAY)

    def test_a_form_is_named(self):
        kind = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        with pytest.raises(InvalidInput, match="the body is a form"):
            read(self.ALL, b"id=1", "sepay", authorization=self.SEPAY, **kind)

    def test_a_compressed_body_is_named(self):
        coding = {"content-encoding": "GZip"}
        with pytest.raises(InvalidInput, match=r"^the body is compressed \('gzip'\): let the provider send"):
            read(self.ALL, gzip.compress(b"{}"), "sepay", authorization=self.SEPAY, **coding)

    def test_a_byte_order_mark_is_ignored(self):
        body = b"\xef\xbb\xbf" + json.dumps(SEPAY).encode()

        assert read(self.ALL, body, "sepay", authorization=self.SEPAY) == ["sepay"]

    def test_without_a_secret_every_request_is_the_providers(self):
        assert read(choose(settings(), without_secret=True), PLAIN) == ["plain"]


class TestProviderWithAFault:
    KEY = "faulty-key-0123456789abcdef"
    SEPAY = f"Apikey {KEYS['payments.sepay_api_key']}"

    @pytest.fixture
    def accepted(self) -> Accepted:
        senders = {"faulty": Sender(Faulty(), Secrets(self.KEY)), **choose(settings(**ALL)).senders}
        return Accepted(senders)

    def test_it_does_not_keep_others_from_their_payments(self, accepted: Accepted):
        assert read(accepted, SEPAY, authorization=self.SEPAY) == ["sepay"]

    @pytest.mark.parametrize("name", [None, "faulty"])
    def test_what_it_cannot_judge_is_not_authentic(self, accepted: Accepted, name: str | None):
        with pytest.raises(NotAuthentic) as caught:
            read(accepted, SEPAY, name)

        fault = r"the payment provider faulty is wrong: KeyError in test_accepted.py, line \d+"
        assert re.fullmatch(fault, str(caught.value.__cause__))

    @pytest.mark.parametrize("magic", ["none", "empty", "dict", "float", "number", "other", "unknown"])
    @pytest.mark.parametrize("name", [None, "faulty"])
    def test_what_it_must_not_return_is_refused_by_its_name(
        self, accepted: Accepted, magic: str, name: str | None
    ):
        with pytest.raises(ProviderFault, match=r"^the payment provider faulty is wrong: \w+"):
            read(accepted, {"magic": magic}, name, **{"x-faulty": self.KEY})

        assert read(accepted, {"magic": "right"}, name, **{"x-faulty": self.KEY}) == ["faulty"]
