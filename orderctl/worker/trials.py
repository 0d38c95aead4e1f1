"""Samples to the receivers of webhooks and mails, sent at once and without the outbox, to see whether they accept them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from orderctl import clock, masking
from orderctl.errors import OrderctlError
from orderctl.setting_sections import Mail
from orderctl.webhook_endpoints import Endpoint
from orderctl.worker import mail, samples, smtp, webhook
from orderctl.worker.webhook import WebhookRefused

#: The event of a sample. No endpoint has to want it.
EVENT: Final = "test"


@dataclass(frozen=True, slots=True)
class Trial:
    """What has become of a sample.

    Attributes:
        name: The name of the endpoint; "mail" of the mail.
        kind: "webhook" or "mail".
        receiver: The endpoint's URL without its secrets, or the address.
        accepted: Whether the receiver has accepted it.
        seconds: How long it took.
        error: Why it was not accepted.
    """

    name: str
    kind: str
    receiver: str
    accepted: bool
    seconds: float
    error: str | None


def post(endpoint: Endpoint) -> Trial:
    """Post a sample to an endpoint, signed as all events are, with an id of its own."""
    payload = {"event": EVENT, "timestamp": clock.milliseconds()}
    error, seconds = _tried(lambda: webhook.post(endpoint, payload, f"{EVENT}:{uuid.uuid4()}"))
    return Trial(endpoint.name, "webhook", masking.webhook(endpoint.url), error is None, seconds, error)


def write(settings: Mail, recipient: str) -> Trial:
    """Send the invented mail of an order's end.

    Args:
        settings: The mail server and the sender.
        recipient: The address that gets it.
    """

    def send() -> None:
        key = f"{EVENT}:{uuid.uuid4()}"
        envelope = mail.compose(samples.letter("order", recipient), settings, key, datetime.now(UTC))
        smtp.send(envelope, settings, lambda: True)

    error, seconds = _tried(send)
    return Trial("mail", "mail", recipient, error is None, seconds, error)


def _tried(send: Callable[[], object]) -> tuple[str | None, float]:
    """Return why something could not be sent, None if it was, and how long it took."""
    begun, error = clock.elapsed(), None
    try:
        send()
    except WebhookRefused as refused:  # its receiver is known here
        error = str(refused).removeprefix(f"{refused.receiver}: ")
    except (OSError, OrderctlError) as refused:
        error = str(refused) or type(refused).__name__
    return error and masking.foreign(error), round(clock.elapsed() - begun, 3)
