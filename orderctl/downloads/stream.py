"""A TCP or TLS connection with limits for waiting, which calls ``check`` at least twice a second.

The socket is non-blocking. While there is data only ``recv`` is called. Otherwise the connection waits in
slices of half a second and calls ``check`` before each, which raises when the attempt must end.
"""

from __future__ import annotations

import errno
import io
import os
import select
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from orderctl.downloads.addresses import Target
from orderctl.downloads.errors import (
    BadAnswer,
    CertificateRefused,
    ConnectionBroken,
    HostUnreachable,
    TooSlow,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

T = TypeVar("T")

_SLICE = 0.5
_OUTDATED = {9, 10}  # OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Limits for waiting for a server.

    Attributes:
        silence: Longest time without a byte, and longest time until the connection or the response's header,
            in seconds.
        slowest: Lowest rate in bytes/s, on average over ``window``; 0: no limit.
        window: Time over which the rate is measured, in seconds. Only waiting for the server counts, not the
            disk.
    """

    silence: float
    slowest: int
    window: float = 60.0


class Stream(io.RawIOBase):
    """A connected socket.

    Attributes:
        budget: Number of bytes that may still be received; the reader raises it. It limits the length of
            headers.
    """

    def __init__(self, sock: socket.socket, limits: StreamLimits, check: Callable[[], None]) -> None:
        super().__init__()
        self.budget = 0
        self._socket = sock
        self._limits = limits
        self._check = check
        self._silent = 0.0
        self._unanswered: float | None = 0.0
        self._waited = 0.0
        self._received = 0
        sock.setblocking(False)

    def answered(self) -> None:
        """Note that the response's header is here; from now on only gaps between bytes and the rate count."""
        self._unanswered = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        count = self._try(partial(self._socket.recv_into, buffer))
        if not count and self._unanswered is not None:
            raise ConnectionBroken("the connection ended before the response was complete")
        self._silent = 0.0
        self._received += count
        self.budget -= count
        if self.budget < 0:
            raise BadAnswer("the header of the response is too long")
        return count

    def send(self, data: bytes) -> None:
        """Send all bytes."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._try(partial(self._socket.send, rest)) :]

    def encrypt(self, context: ssl.SSLContext, host: str) -> None:
        """Start TLS and verify that the server's certificate is valid for the host.

        Raises:
            CertificateRefused: The certificate is not valid.
        """
        try:
            secured = context.wrap_socket(self._socket, server_hostname=host, do_handshake_on_connect=False)
            self._socket = secured
            self._try(secured.do_handshake)
        except ssl.SSLCertVerificationError as error:
            raise CertificateRefused(
                f"the certificate of {host} is not valid: {error.verify_message}",
                outdated=error.verify_code in _OUTDATED,
            ) from None

    def close(self) -> None:
        if not self.closed:
            self._socket.close()
        super().close()

    def _try(self, operation: Callable[[], T]) -> T:
        while True:
            try:
                return operation()
            except (BlockingIOError, ssl.SSLWantReadError):
                self._wait(select.POLLIN)
            except ssl.SSLWantWriteError:
                self._wait(select.POLLOUT)
            except ssl.SSLCertVerificationError:
                raise
            except OSError as error:
                raise ConnectionBroken(f"the connection failed: {error.strerror or error}") from error

    def _wait(self, event: int) -> None:
        self._check()
        started = monotonic()
        _ready(self._socket, event, self._limits.silence)
        # If the process was stopped or the machine slept, most of that time was not spent waiting for the
        # server.
        self._account(min(monotonic() - started, 2 * _SLICE))

    def _account(self, elapsed: float) -> None:
        self._silent += elapsed
        self._waited += elapsed
        if self._unanswered is not None:
            self._unanswered += elapsed
        if max(self._silent, self._unanswered or 0.0) >= self._limits.silence:
            raise TooSlow(
                f"the server sent nothing for {self._limits.silence:g} s (download.timeout_seconds)"
            )
        if self._waited >= self._limits.window:
            if self._received < self._limits.slowest * self._limits.window:
                raise TooSlow(
                    f"slower than {self._limits.slowest} bytes/s (download.min_bytes_per_second): "
                    f"{self._received} bytes in {self._limits.window:g} s"
                )
            self._waited, self._received = 0.0, 0


def connect(targets: Sequence[Target], limits: StreamLimits, check: Callable[[], None], shown: str) -> Stream:
    """Connect to the first address that answers.

    Raises:
        HostUnreachable: None of them accepts the connection.
        TooSlow: None of them answers in time.
    """
    share = limits.silence / len(targets)
    reasons: list[int] = []
    for family, address in targets:
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:  # an IPv6 address on a machine without IPv6
            reasons.append(error.errno or 0)
            continue
        try:
            reasons.append(_connect(sock, address, share, check))
            if not reasons[-1]:
                return Stream(sock, limits, check)
        except BaseException:
            sock.close()
            raise
        sock.close()
    failed = f"cannot connect to {shown}: {', '.join(map(os.strerror, dict.fromkeys(reasons)))}"
    if set(reasons) == {errno.ETIMEDOUT}:
        raise TooSlow(f"{failed} after {limits.silence:g} s (download.timeout_seconds)")
    raise HostUnreachable(failed)


def _connect(sock: socket.socket, address: object, seconds: float, check: Callable[[], None]) -> int:
    """Connect; return 0, or the number of the error."""
    sock.setblocking(False)
    reason = sock.connect_ex(address)  # type: ignore[arg-type]
    deadline = monotonic() + seconds
    while reason == errno.EINPROGRESS:
        check()
        if _ready(sock, select.POLLOUT, seconds):
            return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if monotonic() >= deadline:
            return errno.ETIMEDOUT
    return reason


def _ready(sock: socket.socket, event: int, seconds: float) -> bool:
    """Wait for an event for one slice, or ``seconds`` if that is shorter; return whether it came."""
    poll = select.poll()
    poll.register(sock, event)
    return bool(poll.poll(min(_SLICE, seconds) * 1000))
