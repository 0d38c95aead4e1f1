"""Connections to Redis for redis-py: TLS, the greeting, and what a refusal at connecting means.

All clients connect through :class:`orderctl.redis_urls.Endpoint`. The relay, which has its own connection, shares
:func:`tls_context`, :func:`explain` and :func:`wants_tls`.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from redis import exceptions
from redis.connection import Connection, UnixDomainSocketConnection

from orderctl import redis_tls
from orderctl.errors import Misconfigured
from orderctl.redis_tls import Tls
from orderctl.redis_urls import Endpoint

#: Maximum time to wait for a reply while a connection is set up, in seconds.
GREETING_SECONDS: Final = 2.0
#: Maximum time to find out whether a server speaks TLS, in seconds.
_PROBE_SECONDS: Final = 1.0
_HINT: Final = "orderctl config show"
#: Errors of TLS that mean an outage: the connection ended.
_ENDED: Final = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError, ssl.SSLWantReadError)
#: What OpenSSL says about an answer that is not TLS.
_NOT_TLS: Final = {
    "WRONG_VERSION_NUMBER",
    "RECORD_LAYER_FAILURE",
    "PACKET_LENGTH_TOO_LONG",
    "UNEXPECTED_MESSAGE",
}


class TcpConnection(Connection):
    """A connection over TCP. redis-py's lets a TLS server look like an outage."""

    def greet(self, name: str | None) -> None:
        """Set up a new connection; see :func:`_greet`."""
        try:
            _greet(self, name)
        except (exceptions.AuthenticationError, exceptions.AuthorizationError):
            raise
        except (exceptions.ConnectionError, exceptions.InvalidResponse) as error:
            place = Endpoint(host=self.host, port=self.port)
            # A server that speaks TLS hangs up, or sends an alert, which begins with 0x15.
            ended = isinstance(error, exceptions.ConnectionError) or "\\x15" in repr(str(error))
            if ended and wants_tls(place):
                raise needs_tls(place) from None
            raise


class TlsConnection(Connection):
    """A connection over TLS, with a context that the relay has, too.

    Args:
        tls: As the URL says.
        options: Of redis-py's connection.
    """

    def __init__(self, *, tls: Tls, **options: Any) -> None:
        self._tls = tls
        super().__init__(**options)  # type: ignore[no-untyped-call]

    def _connect(self) -> ssl.SSLSocket:
        plain: socket.socket = super()._connect()  # type: ignore[no-untyped-call]
        patience = self.socket_timeout or GREETING_SECONDS
        plain.settimeout(min(GREETING_SECONDS, patience))
        try:
            wrapped = tls_context(self._tls).wrap_socket(plain, server_hostname=self.host)
        except BaseException as error:
            plain.close()
            # The hasty client has no time for the question.
            raise explain(error, self._place(), ask=patience >= _PROBE_SECONDS) from error
        wrapped.settimeout(self.socket_timeout)
        return wrapped

    def greet(self, name: str | None) -> None:
        """Set up a new connection; see :func:`_greet`."""
        try:
            _greet(self, name)
        except (
            exceptions.ConnectionError
        ) as error:  # TLS 1.3 refuses a client's certificate after the handshake
            raise explain(error, self._place(), ask=True) from error

    def _place(self) -> Endpoint:
        return Endpoint(host=self.host, port=self.port, tls=self._tls)


class SocketConnection(UnixDomainSocketConnection):
    """A connection over a unix socket."""

    def greet(self, name: str | None) -> None:
        """Set up a new connection; see :func:`_greet`."""
        _greet(self, name)


def options(endpoint: Endpoint) -> dict[str, Any]:
    """Return the arguments of a redis-py pool for a server."""
    common = {"db": endpoint.db, "username": endpoint.username, "password": endpoint.password}
    if endpoint.path is not None:
        return {"connection_class": SocketConnection, "path": endpoint.path, **common}
    place = {"host": endpoint.host, "port": endpoint.port, **common}
    if endpoint.tls is None:
        return {"connection_class": TcpConnection, **place}
    return {"connection_class": TlsConnection, "tls": endpoint.tls, **place}


def _greet(connection: Any, name: str | None) -> None:
    """Log in, name the connection if the user may, and refuse a Redis Cluster.

    RQ raises the client's read timeout to minutes. Without a shorter one here, a hung server would block for
    as long.
    """
    wire = connection._get_socket()  # noqa: SLF001 - redis-py has no public way to it
    wire.settimeout(min(GREETING_SECONDS, connection.socket_timeout or GREETING_SECONDS))
    connection.on_connect()
    clustered = False
    # No right to one of them: neither is needed. A cluster reports itself later by its own errors.
    for command in (("CLIENT", "SETNAME", name), ("INFO", "cluster")):
        if command[-1] is not None:
            connection.send_command(*command, check_health=False)
            with suppress(exceptions.ResponseError):
                clustered = b"cluster_enabled:1" in connection.read_response()
    if clustered:
        connection.disconnect()
        raise cluster_refused()
    wire.settimeout(connection.socket_timeout)


def cluster_refused() -> Misconfigured:
    """Return the error for a Redis Cluster."""
    return Misconfigured(
        "setting redis.url: this server belongs to a Redis Cluster, which orderctl does not support:"
        " the queue and the snapshots need all keys on one server",
        hint="use a Redis or Valkey server without cluster mode; it may have replicas",
    )


# --- TLS


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Return what a client needs to connect over TLS.

    Raises:
        Misconfigured: A file of the URL's options cannot be read.
    """
    try:
        return redis_tls.context(tls)
    except ValueError as error:
        raise Misconfigured(f"setting redis.url: {error}", hint=_HINT) from None


def explain(error: BaseException, place: Endpoint, *, ask: bool = False) -> BaseException:
    """Return a Misconfigured for an error of TLS that waiting does not cure; else the error itself.

    Args:
        error: What was raised.
        place: The server.
        ask: Whether to ask a server that did not answer whether it speaks without TLS: Redis waits for the end of the
            line, and says nothing. Blocks for up to a second.
    """
    found = _refusal(error, place)
    if found is None and ask:
        if isinstance(error, OSError):
            return _refused("WRONG_VERSION_NUMBER", place) if _speaks_plainly(place) else error
        found = _refusal(_hear_alert(place), place)
    return found or error


def _refusal(error: BaseException | None, place: Endpoint) -> Misconfigured | None:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Misconfigured(
                f"setting redis.url: the certificate of {place} is not accepted: {cause.verify_message}",
                hint="ssl_ca_certs=FILE in redis.url names the CAs to trust; ssl_check_hostname=false accepts any host",
            )
        reason = getattr(cause, "reason", None)  # not every SSLError has one
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, _ENDED) and reason:
            return _refused(str(reason), place)
    return None


def _hear_alert(place: Endpoint) -> ssl.SSLError | None:
    """Connect again, and return the alert of a server that hangs up after the handshake; redis-py does not read it."""
    try:
        with (
            socket.create_connection((str(place.host), place.port), _PROBE_SECONDS) as plain,
            tls_context(place.tls or Tls()).wrap_socket(plain, server_hostname=place.host) as secure,
        ):
            secure.recv(1)
    except ssl.SSLError as error:
        return error
    except OSError:
        pass
    return None


def _speaks_plainly(place: Endpoint) -> bool:
    try:
        with socket.create_connection((str(place.host), place.port), _PROBE_SECONDS) as plain:
            plain.sendall(b"PING\r\n")
            return plain.recv(1) in {b"+", b"-"}
    except OSError:
        return False


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _refused(reason: str, place: Endpoint) -> Misconfigured:
    if reason in _NOT_TLS:
        return Misconfigured(
            f"setting redis.url: the server at {place} does not speak TLS",
            hint="redis:// in place of rediss:// connects without TLS",
        )
    said = reason.replace("_", " ").lower()
    return Misconfigured(
        f"setting redis.url: TLS with {place} fails: {said}",
        hint="see the options ssl_certfile, ssl_keyfile, ssl_min_version and ssl_ciphers in redis.url",
    )


def needs_tls(place: Endpoint) -> Misconfigured:
    """Return the error for a server that speaks only TLS."""
    return Misconfigured(
        f"setting redis.url: the server at {place} speaks TLS only",
        hint="rediss:// in place of redis:// connects with TLS",
    )


def wants_tls(place: Endpoint) -> bool:
    """Whether a server that has closed a connection without TLS speaks TLS; blocks for up to a second."""
    if place.host is None:
        return False
    probe = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    probe.check_hostname, probe.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((place.host, place.port), _PROBE_SECONDS) as plain,
            probe.wrap_socket(plain),
        ):
            return True
    except ssl.SSLError as error:  # it asks for a certificate of the client, for example
        return not isinstance(error, _ENDED) and error.reason not in _NOT_TLS
    except OSError:
        return False
