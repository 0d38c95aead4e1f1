"""SePay's webhook: one transfer in each request."""

from __future__ import annotations

from typing import Any, Final

from orderctl.payments.providers import signing
from orderctl.payments.providers.casso import is_envelope
from orderctl.payments.providers.fields import A_TEST, NOT_A_TRANSFER, Fields
from orderctl.payments.providers.protocol import Delivery, Secrets
from orderctl.payments.transfer import Transfer

#: A document that has none of these tells of no transfer.
_OF_A_TRANSFER: Final = (
    "gateway",
    "transactionDate",
    "accountNumber",
    "subAccount",
    "content",
    "transferType",
    "transferAmount",
    "accumulated",
    "referenceCode",
)
_SIGNATURE: Final = "sha256="


class SepayProvider:
    """Transfers are known by ``id``; ``referenceCode`` is the bank's.

    SePay's documentation names no mark of the requests that its button for tests sends. They look like transfers, and
    pay nothing unless they name an order's code. An ``id`` of 0, which no transfer has, is a test.
    """

    name = "sepay"

    def recognises(self, document: Any) -> bool:
        """Whether a document has ``gateway``, which only SePay calls the bank, and is none of Casso's envelopes."""
        return isinstance(document, dict) and "gateway" in document and not is_envelope(document)

    def is_authentic(self, delivery: Delivery, secrets: Secrets) -> bool:
        """Whether the request has the API key, or a signature of the last or next five minutes.

        Either is enough where both are set, so that a shop can change from one to the other.
        """
        if signing.is_key(delivery.headers.get("authorization"), secrets.api_key, ("apikey",)):
            return True
        return secrets.secret is not None and _is_signed(delivery, secrets.secret)

    def read(self, document: Any) -> list[Transfer]:
        """Return the transfer of a document.

        Raises:
            InvalidInput: It is not an object, or a field is missing or wrong.
        """
        fields = Fields.of(document)
        if not fields.has_any(_OF_A_TRANSFER):
            return [Transfer(self.name, ignored=NOT_A_TRANSFER, raw=document)]
        provider_id = fields.needed("id")
        if provider_id == "0":
            return [Transfer(self.name, provider_id=provider_id, ignored=A_TEST, raw=document)]
        fields.needed("transferType")
        amount, direction = fields.money("transferAmount", "transferType")
        transfer = Transfer(
            provider=self.name,
            amount=amount,
            provider_id=provider_id,
            reference=fields.text("referenceCode"),
            code=fields.text("code"),
            content=fields.text("content", "description"),
            direction=direction,
            bank=fields.text("gateway"),
            account=fields.text("accountNumber", "subAccount"),
            happened_at=fields.moment("transactionDate"),
            raw=document,
        )
        return [transfer.checked()]


def _is_signed(delivery: Delivery, secret: str) -> bool:
    time = delivery.headers.get("x-sepay-timestamp", "").strip()
    return signing.is_recent(time, delivery.now) and any(
        signing.is_signature(given.removeprefix(_SIGNATURE), secret, time, delivery.body, "sha256")
        for given in signing.values(delivery.headers.get("x-sepay-signature"))
        if given.startswith(_SIGNATURE)
    )
