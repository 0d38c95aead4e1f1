"""What the tests of the providers share: reading a document as the relay does, and secrets."""

import hashlib
import hmac
from typing import Any

from orderctl import documents
from orderctl.payments.providers.protocol import Delivery, Provider, Secrets
from orderctl.payments.transfer import Transfer

KEY, SECRET = "the-key-of-a-test", "the-secret-of-a-test"
#: Settings with a key, with a secret, and with both.
WITH_KEY, WITH_SECRET, WITH_BOTH = Secrets(KEY), Secrets(None, SECRET), Secrets(KEY, SECRET)
NOW = 1_770_000_000.0


def read(provider: Provider, document: str) -> list[Transfer]:
    """Return the transfers of a document as it is sent."""
    return provider.read(documents.parse(document, "the payment"))


def summary(transfer: Transfer) -> dict[str, Any]:
    """Return what a transfer says, without its raw JSON and what is as by default."""
    plain = Transfer(transfer.provider)
    values = {name: getattr(transfer, name) for name in Transfer.__dataclass_fields__ if name != "raw"}
    return {name: value for name, value in values.items() if value != getattr(plain, name)}


def sent(body: bytes | str = b"{}", now: float = NOW, **headers: str) -> Delivery:
    """Return a delivery; ``_`` in a header's name is ``-``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Delivery(named, body.encode() if isinstance(body, str) else body, now)


def signed(message: bytes | str, algorithm: str, secret: str = SECRET) -> str:
    """Return the hexadecimal digits of a signature."""
    text = message.encode() if isinstance(message, str) else message
    return hmac.new(secret.encode(), text, getattr(hashlib, algorithm)).hexdigest()
