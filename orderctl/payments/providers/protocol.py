"""What a provider is: it knows its own documents, and proves who sent them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from orderctl.payments.transfer import Transfer


class Secrets(NamedTuple):
    """The secrets of one provider; None: not set.

    Attributes:
        api_key: What the provider sends with each request.
        secret: With what it signs each request.
    """

    api_key: str | None = None
    secret: str | None = None

    def __repr__(self) -> str:
        return "Secrets(...)"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request that tells of transfers.

    Attributes:
        headers: By name in lower case.
        body: Its bytes, as they came.
        now: The time, in seconds since 1970.
    """

    headers: Mapping[str, str]
    body: bytes
    now: float


class Provider(Protocol):
    """A bank or service that tells of transfers by POST.

    A provider is a class, announced as an entry point of the group ``orderctl.payment_providers``. It is called
    without arguments. Its methods do no I/O.

    Attributes:
        name: The name of the entry point: lower-case ASCII letters, digits, ``-`` and ``_``.
    """

    name: str

    def recognises(self, document: Any) -> bool:
        """Whether a document has this provider's fields, so that it is told apart from those of others.

        Args:
            document: Any JSON value. Numbers with a point are ``Decimal``.
        """

    def is_authentic(self, delivery: Delivery, secrets: Secrets) -> bool:
        """Whether the request comes from the provider. Compares in constant time; False if no secret is set."""

    def read(self, document: Any) -> list[Transfer]:
        """Return the transfers of a document, at least one; an event that is none with ``ignored``.

        Args:
            document: Any JSON value. Numbers with a point are ``Decimal``.

        Raises:
            InvalidInput: It is not a document of this provider's, or a field is missing or wrong. The message says which.
        """
