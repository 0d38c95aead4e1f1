"""Casso's webhook: a list of transfers (first version), or one (second version), in an envelope."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from orderctl import documents
from orderctl.errors import InvalidInput
from orderctl.payments.providers import javascript, signing
from orderctl.payments.providers.fields import A_TEST, NOT_A_TRANSFER, Fields
from orderctl.payments.providers.protocol import Delivery, Secrets
from orderctl.payments.transfer import Transfer

#: A transaction that has none of these is no transfer.
_OF_A_TRANSFER: Final = (
    "id",
    "tid",
    "reference",
    "description",
    "amount",
    "when",
    "transactionDateTime",
    "bank_sub_acc_id",
    "accountNumber",
    "cusum_balance",
    "runningBalance",
)
#: The bank's reference in Casso's tests, whose id is 0.
_TEST: Final = "MA_GIAO_DICH_THU_NGHIEM"
#: Longest body that is read to look at its signature, in bytes: a stranger's costs as much. The second version has one
#: transfer, of less than 2 KiB.
_MOST_SIGNED: Final = 32 * 1024


class CassoProvider:
    """Transfers are known by ``id``; ``tid`` or ``reference`` is the bank's. A negative amount is outgoing."""

    name = "casso"

    def recognises(self, document: Any) -> bool:
        """Whether a document is Casso's envelope."""
        return is_envelope(document)

    def is_authentic(self, delivery: Delivery, secrets: Secrets) -> bool:
        """Whether the request has the key of the first version, or the signature of the second.

        Either is enough where both are set, so that a shop can change from one version to the other.
        """
        if signing.is_key(delivery.headers.get("secure-token"), secrets.api_key):
            return True
        return secrets.secret is not None and _is_signed(delivery, secrets.secret)

    def read(self, document: Any) -> list[Transfer]:
        """Return the transfers of a document.

        Raises:
            InvalidInput: It is not an object, ``data`` is neither a list nor an object, or a field of a transfer is
                missing or wrong.
        """
        envelope = Fields.of(document)
        if error := _error(envelope):
            return [Transfer(self.name, ignored=error, raw=document)]
        data = document.get("data")
        if isinstance(data, list) and data:
            return [self._transfer(item, f"data[{place}]") for place, item in enumerate(data)]
        if data is None or data in ([], {}):
            return [Transfer(self.name, ignored=NOT_A_TRANSFER, raw=document)]
        return [self._transfer(data, "data")]

    def _transfer(self, item: Any, place: str) -> Transfer:
        fields = Fields.of(item, f"the payment's {place}", place=f"the payment's {place}.")
        if not fields.has_any(_OF_A_TRANSFER):
            return Transfer(self.name, ignored=NOT_A_TRANSFER, raw=item)
        provider_id, reference = fields.needed("id"), fields.text("tid", "reference")
        if provider_id == "0" or reference == _TEST:
            return Transfer(self.name, provider_id=provider_id, ignored=A_TEST, raw=item).checked()
        amount, direction = fields.money("amount")
        return Transfer(
            provider=self.name,
            amount=amount,
            provider_id=provider_id,
            reference=reference,
            content=fields.text("description"),
            direction=direction,
            bank=fields.text("bankName", "bankAbbreviation"),
            account=fields.text("bank_sub_acc_id", "subAccId", "accountNumber"),
            happened_at=fields.moment("when", "transactionDateTime"),
            raw=item,
        ).checked()


def is_envelope(document: Any) -> bool:
    """Whether a document has ``error`` and ``data``, as only Casso's have."""
    return isinstance(document, dict) and "error" in document and "data" in document


def _error(envelope: Fields) -> str | None:
    """Return that the envelope has an error in the place of a transfer; None: it has none."""
    error = envelope.values.get("error")
    return None if error in (None, False, 0, "", "0") else "an error of the provider's"


def _is_signed(delivery: Delivery, secret: str) -> bool:
    """Whether a signature of the second version fits.

    Its time is signed, but not compared with the clock: Casso does not document whether it signs a delivery anew when it
    comes again, which it does for half an hour. A recorded request that comes later is a repeat, and changes nothing.
    """
    stamps = signing.stamps(delivery.headers.get("x-casso-signature"))
    return bool(stamps) and any(
        signing.is_signature(given, secret, time, form, "sha512")
        for form in _signed_forms(delivery.body)
        for time, given in stamps
    )


def _signed_forms(body: bytes) -> Iterator[bytes]:
    """Yield what may have been signed: the body, or its JSON with sorted keys.

    Casso's examples in different languages disagree about objects in lists.
    """
    yield body
    if len(body) > _MOST_SIGNED:
        return
    try:
        document = documents.parse(body.decode(), "the payment")
        for into_lists in (False, True):
            yield javascript.stringify(document, into_lists=into_lists).encode()
    except (InvalidInput, UnicodeDecodeError, RecursionError):
        return
