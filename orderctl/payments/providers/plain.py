"""The shop's own payments: ``{"code", "transferAmount", "bankName"}``."""

from __future__ import annotations

from typing import Any, Final

from orderctl.payments.providers import signing
from orderctl.payments.providers.casso import is_envelope
from orderctl.payments.providers.fields import NOT_A_TRANSFER, Fields
from orderctl.payments.providers.protocol import Delivery, Secrets
from orderctl.payments.transfer import Transfer

#: A document that has none of these tells of no transfer.
_OF_A_TRANSFER: Final = (
    "code",
    "transferAmount",
    "transferType",
    "transactionId",
    "referenceCode",
    "transactionDate",
    "content",
    "bankName",
    "accountNumber",
)
_OWN: Final = ("code", "transferAmount", "bankName")


class PlainProvider:
    """What a program of the shop's sends.

    ``id`` is what a transfer is known by, or else ``transactionId``; ``referenceCode`` is the bank's reference, or else
    ``transactionId`` beside an ``id``. So a later delivery of the same transfer may have more of them, or others.
    """

    name = "plain"

    def recognises(self, document: Any) -> bool:
        """Whether a document has the shop's fields, and is neither SePay's nor Casso's."""
        if not isinstance(document, dict):
            return False
        return any(name in document for name in _OWN) and not ("gateway" in document or is_envelope(document))

    def is_authentic(self, delivery: Delivery, secrets: Secrets) -> bool:
        """Whether the request has the key, or a signature of the last or next five minutes.

        Either is enough where both are set, so that a shop can change from one to the other.
        """
        if signing.is_key(delivery.headers.get("authorization"), secrets.api_key, ("apikey", "bearer")):
            return True
        return secrets.secret is not None and any(
            signing.is_recent(time, delivery.now)
            and signing.is_signature(given, secrets.secret, time, delivery.body, "sha256")
            for time, given in signing.stamps(delivery.headers.get("x-orderctl-signature"))
        )

    def read(self, document: Any) -> list[Transfer]:
        """Return the transfer of a document.

        Raises:
            InvalidInput: It is not an object, it has neither ``code`` nor ``content``, or a field is wrong.
        """
        fields = Fields.of(document)
        if not fields.has_any(_OF_A_TRANSFER):
            return [Transfer(self.name, ignored=NOT_A_TRANSFER, raw=document)]
        amount, direction = fields.money("transferAmount", "transferType")
        fields.needed("code", "content")
        own, transaction = fields.text("id"), fields.text("transactionId")
        transfer = Transfer(
            provider=self.name,
            amount=amount,
            provider_id=own or transaction,
            reference=fields.text("referenceCode") or (transaction if own else None),
            alias=transaction,
            code=fields.text("code"),
            content=fields.text("content"),
            direction=direction,
            currency=fields.currency("currency"),
            bank=fields.text("bankName"),
            account=fields.text("accountNumber"),
            happened_at=fields.moment("transactionDate"),
            raw=document,
        )
        return [transfer.checked()]
