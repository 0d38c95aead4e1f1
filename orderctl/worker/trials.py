"""Samples to the receivers of webhooks and mails, sent at once and without the outbox, to see whether they accept them."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from orderctl import clock, masking, webhook_endpoints
from orderctl.errors import OrderctlError
from orderctl.setting_sections import Mail
from orderctl.webhook_endpoints import Endpoint
from orderctl.worker import mail, samples, smtp, webhook
from orderctl.worker.webhook import WebhookRefused

#: The event of a sample. No endpoint has to want it.
EVENT: Final = "test"
#: Samples on their way at one time.
_AT_ONCE: Final = 10
#: Seconds after which the receivers that have not answered are named.
_SOON: Final = 2.0


@dataclass(frozen=True, slots=True)
class Trial:
    """What has become of a sample.

    Attributes:
        name: The name of the endpoint; "mail" of the mail, which no endpoint has.
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


def at_once(trials: Mapping[str, Callable[[], Trial]], waiting: Callable[[list[str]], None]) -> list[Trial]:
    """Carry out trials beside each other, a few at a time: one receiver that hangs delays no other.

    Args:
        trials: Each sends a sample, by the name of its receiver.
        waiting: Called once with the receivers that have not answered soon.

    Returns:
        What has become of each, in their order.
    """
    room = threading.BoundedSemaphore(_AT_ONCE)
    results: dict[str, Future[Trial]] = {name: Future() for name in trials}
    for name, result in results.items():
        # A pool's threads would have to end before the program can, also after Ctrl-C.
        threading.Thread(target=_carry_out, args=(trials[name], result, room), daemon=True).start()
    pending = wait(results.values(), timeout=_SOON).not_done
    if pending:
        waiting([name for name, result in results.items() if result in pending])
    return [result.result() for result in results.values()]


def _carry_out(trial: Callable[[], Trial], result: Future[Trial], room: threading.BoundedSemaphore) -> None:
    with room:
        try:
            result.set_result(trial())
        except BaseException as error:  # noqa: BLE001 - raised where the result is wanted
            result.set_exception(error)


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
    return Trial(webhook_endpoints.MAIL, "mail", recipient, error is None, seconds, error)


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
