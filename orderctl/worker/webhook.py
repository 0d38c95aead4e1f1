"""The webhook: a signed POST when an order has ended or a task has failed permanently."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import io
import json
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from orderctl import faultpoints
from orderctl.downloads import headers, heads, urls
from orderctl.downloads.errors import BadAnswer, UrlRefused
from orderctl.downloads.heads import Head
from orderctl.downloads.urls import Url
from orderctl.setting_sections import Notify
from orderctl.worker.cutoff import cutoff

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_TIMEOUT: Final = 10.0
_DEADLINE: Final = 30.0
_ACCEPTED: Final = range(200, 300)
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_GONE: Final = 410
#: Bytes of the longest head of an answer, with the interim ones before it.
_MAX_HEAD: Final = 256 * 1024


class WebhookRefused(OSError):
    """The receiver answered with something other than 2xx, or not at all.

    Attributes:
        receiver: The scheme and the host of its URL.
        status: The HTTP status, None when there was no answer.
        retry_after: Seconds after which the receiver asks to come again, None when it does not say.
    """

    def __init__(
        self, receiver: str, reason: str, *, status: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{receiver}: {reason}")
        self.receiver = receiver
        self.status = status
        self.retry_after = retry_after

    @property
    def is_final(self) -> bool:
        """Whether the receiver says that it will never accept anything again."""
        return self.status == _GONE


def post(settings: Notify, payload: Mapping[str, Any], dedup_key: str) -> None:
    """Send one event. Redirects are not followed: only the configured receiver may get the body.

    The body is JSON; ``X-Orderctl-Signature: sha256=HEX`` is its HMAC-SHA256 under the configured secret,
    and ``X-Orderctl-Delivery`` is the dedup key, which is the same at every try. A user and a password in the URL are
    sent as ``Authorization: Basic``.

    Args:
        settings: For the URL and the secret.
        payload: The event.
        dedup_key: Identifies the delivery.

    Raises:
        WebhookRefused: When the receiver did not accept it.
    """
    body = json.dumps(payload, separators=(",", ":"), sort_keys=True).encode()
    fields = {"Content-Type": "application/json", "User-Agent": "orderctl", "X-Orderctl-Delivery": dedup_key}
    if settings.webhook_secret:
        fields["X-Orderctl-Signature"] = f"sha256={sign(body, settings.webhook_secret)}"
    url = urls.parse(settings.webhook_url or "")
    if url.authorization:
        fields["Authorization"] = url.authorization
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.host, url.port, timeout=_TIMEOUT)
    try:
        with cutoff(connection, _DEADLINE):
            faultpoints.point("webhook.before")
            connection.request("POST", url.target, body, fields)
            with io.BufferedReader(_Socket(connection.sock)) as reader:
                head = heads.read(reader, _origin(url))
            faultpoints.point("webhook.after")
    except BadAnswer as error:
        raise WebhookRefused(_origin(url), f"the answer is not valid HTTP: {error}") from error
    except OSError as error:
        raise WebhookRefused(_origin(url), f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()
    if head.status not in _ACCEPTED:
        raise _refused(url, head)


class _Socket(io.RawIOBase):
    """A socket, of which no more is read than a head may have."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._socket = sock
        self._left = _MAX_HEAD

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        if not self._left:
            raise BadAnswer("the head is too long")
        count = self._socket.recv_into(memoryview(buffer)[: self._left])
        self._left -= count
        return count


def _refused(url: Url, head: Head) -> WebhookRefused:
    text = f"HTTP {head.status}"
    if head.status in _REDIRECTS:
        text += f": a redirect to {_target(url, head)}, which is not followed; notify.webhook_url has to be the final URL"
    retry_after = headers.retry_after(head.get("Retry-After"), head.get("Date"))
    return WebhookRefused(_origin(url), text, status=head.status, retry_after=retry_after)


def _target(url: Url, head: Head) -> str:
    try:
        return _origin(urls.follow(url, head.get("Location")))
    except UrlRefused:
        return "another address"


def _origin(url: Url) -> str:
    """Return the scheme and the host of a URL, without its path: that of a webhook is often a secret itself."""
    return f"{url.scheme}://{url.authority}/..."


def sign(body: bytes, secret: str) -> str:
    """Return the HMAC-SHA256 of a body, in hexadecimal."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
