"""The webhook: a signed POST when an order has ended or a task has failed permanently."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import json
import socket
import threading
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from orderctl import faultpoints
from orderctl.settings import Notify

_TIMEOUT: Final = 10.0
_DEADLINE: Final = 30.0
_ACCEPTED: Final = range(200, 300)


class WebhookRefused(OSError):
    """The receiver answered with something other than 2xx."""


def post(settings: Notify, payload: Mapping[str, Any], dedup_key: str) -> None:
    """Send one event. Redirects are not followed: only the configured receiver may get the body.

    The body is JSON; ``X-Orderctl-Signature: sha256=HEX`` is its HMAC-SHA256 under the configured secret,
    and ``X-Orderctl-Delivery`` is the dedup key, which is the same at every try.

    Args:
        settings: For the URL and the secret.
        payload: The event.
        dedup_key: Identifies the delivery.

    Raises:
        OSError: When the receiver did not accept it.
    """
    body = json.dumps(payload, separators=(",", ":"), sort_keys=True).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "orderctl", "X-Orderctl-Delivery": dedup_key}
    if settings.webhook_secret:
        headers["X-Orderctl-Signature"] = f"sha256={sign(body, settings.webhook_secret)}"
    url = urlsplit(settings.webhook_url or "")
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=_TIMEOUT)
    # The connection's timeout is for each read: a receiver that sends byte by byte would block for ever.
    deadline = threading.Timer(_DEADLINE, _cut, [connection])
    deadline.start()
    try:
        faultpoints.point("webhook.before")
        connection.request("POST", (url.path or "/") + (f"?{url.query}" if url.query else ""), body, headers)
        status = connection.getresponse().status
        faultpoints.point("webhook.after")
    except http.client.HTTPException as error:
        raise WebhookRefused(f"the receiver's answer is not valid HTTP: {error!r}") from error
    finally:
        deadline.cancel()
        connection.close()
    if status not in _ACCEPTED:
        raise WebhookRefused(f"HTTP {status}")


def _cut(connection: http.client.HTTPConnection) -> None:
    with contextlib.suppress(OSError):
        if connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)


def sign(body: bytes, secret: str) -> str:
    """Return the HMAC-SHA256 of a body, in hexadecimal."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
