"""The webhook: a signed POST when an order has ended or a task has failed permanently.

It follows Standard Webhooks (https://www.standardwebhooks.com). The headers of earlier versions stand beside those.
"""

from __future__ import annotations

import base64
import hmac
import http.client
import io
import json
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from orderctl import faultpoints, outbox, webhook_endpoints
from orderctl.downloads import headers, heads, urls
from orderctl.downloads.errors import BadAnswer, UrlRefused
from orderctl.downloads.heads import Head
from orderctl.downloads.urls import Url
from orderctl.webhook_endpoints import Endpoint
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


class EndpointRemoved(OSError):
    """The endpoint of an entry is not configured any more."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the endpoint {name} is not configured any more")


def post(endpoint: Endpoint, payload: Mapping[str, Any], event_key: str) -> None:
    """Send one event. Redirects are not followed: only the configured receiver may get the body.

    A user and a password in the URL are sent as ``Authorization: Basic``.

    Args:
        endpoint: Where it goes, and the secrets that sign it.
        payload: The event.
        event_key: Identifies the event, at every try and for every endpoint.

    Raises:
        WebhookRefused: When the receiver did not accept it.
    """
    body = json.dumps(payload, separators=(",", ":"), sort_keys=True).encode()
    url = urls.parse(endpoint.url)
    fields = {"Content-Type": "application/json", "User-Agent": "orderctl"}
    fields |= signed(endpoint.secrets, outbox.webhook_id(payload, event_key), int(time.time()), body)
    fields |= _of_earlier_versions(endpoint, event_key, body)
    if url.authorization:
        fields["Authorization"] = url.authorization
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.host, url.port, timeout=_TIMEOUT)
    try:
        with cutoff(connection, _DEADLINE) as over:
            faultpoints.point("webhook.before")
            connection.request("POST", url.target, body, fields)
            head = _head(connection.sock, over, url)
            faultpoints.point("webhook.after")
    except BadAnswer as error:
        raise WebhookRefused(_origin(url), str(error).removesuffix(f": {_origin(url)}")) from error
    except OSError as error:
        raise WebhookRefused(_origin(url), _explained(error, is_cut=over.is_set())) from error
    finally:
        connection.close()
    if head.status not in _ACCEPTED:
        raise _refused(endpoint, url, head)


def _explained(error: OSError, *, is_cut: bool) -> str:
    if isinstance(error, TimeoutError):
        return str(error) if is_cut else f"no answer within {_TIMEOUT:g} s"
    return f"{type(error).__name__}: {error}"


def _head(sock: socket.socket, over: threading.Event, url: Url) -> Head:
    source = _Socket(sock)
    with io.BufferedReader(source) as reader:
        try:
            head = heads.read(reader, _origin(url))
        except BadAnswer as error:
            if source.is_empty:
                raise BadAnswer("the receiver closed the connection without an answer") from error
            raise
    if over.is_set():
        raise BadAnswer("the rest of the head is missing")
    return head


class _Socket(io.RawIOBase):
    """A socket, of which no more is read than a head may have."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._socket = sock
        self._left = _MAX_HEAD

    @property
    def is_empty(self) -> bool:
        """Whether nothing has come."""
        return self._left == _MAX_HEAD

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        if not self._left:
            raise BadAnswer("the response is not valid HTTP (its head is too long)")
        count = self._socket.recv_into(memoryview(buffer)[: self._left])
        self._left -= count
        return count


def _refused(endpoint: Endpoint, url: Url, head: Head) -> WebhookRefused:
    text = f"HTTP {head.status}"
    if head.status in _REDIRECTS:
        where = f"a redirect to {_target(url, head)}, which is not followed"
        text += f": {where}; {endpoint.setting} has to have the final URL"
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


def signed(secrets: Sequence[str], message: str, now: int, body: bytes) -> dict[str, str]:
    """Return the headers of Standard Webhooks.

    Args:
        secrets: Each signs; without one there is no signature.
        message: The id of the event.
        now: The time of this try, in seconds since 1970.
        body: As it is sent.
    """
    fields = {"webhook-id": message, "webhook-timestamp": str(now)}
    content = f"{message}.{now}.".encode() + body
    keys = [webhook_endpoints.key_of(secret) for secret in secrets]
    signatures = [base64.b64encode(hmac.digest(key, content, "sha256")).decode() for key in keys]
    if signatures:
        fields["webhook-signature"] = " ".join(f"v1,{signature}" for signature in signatures)
    return fields


def _of_earlier_versions(endpoint: Endpoint, event_key: str, body: bytes) -> dict[str, str]:
    fields = {"X-Orderctl-Delivery": event_key}
    if endpoint.secrets:
        digest = hmac.digest(endpoint.secrets[0].encode(), body, "sha256").hex()
        fields["X-Orderctl-Signature"] = f"sha256={digest}"
    return fields
