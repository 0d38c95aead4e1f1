"""Clients for Redis and Valkey, with three kinds of timeouts, and the translation of their errors.

The defaults of redis-py do not fit a queue: it sends a command again after an error (even one that must not
run twice), tries a hung server ten times, and treats a wrong password as an outage. So each client here sets
its own timeouts, and none sends a command twice:

* :func:`patient` waits for the connection without a limit; for workers.
* :func:`brisk` fails within three seconds; for commands.
* :func:`hasty` fails within 0.2 s; for messages that must not delay a download.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

import redis
from redis import exceptions
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool, SSLConnection, parse_url
from redis.retry import Retry

from orderctl import clock, embedded
from orderctl.errors import Misconfigured, OrderctlError, RedisUnavailable
from orderctl.redis_urls import Prefixed
from orderctl.settings import Settings

_log = logging.getLogger(__name__)

#: Maximum time to wait for a reply while a connection is set up, in seconds.
_GREETING_SECONDS: Final = 2.0
#: Maximum pause of the patient client between two attempts to connect, in seconds.
_BACKOFF_CAP: Final = 2.0
#: The options of a URL that orderctl uses; it sets timeouts and retries itself.
_ENDPOINT: Final = {"connection_class", "host", "port", "path", "db", "username", "password"}
#: Options of redis-py that a URL shared with another program may contain. They are ignored here.
_IGNORED: Final = {
    "socket_timeout", "socket_connect_timeout", "socket_keepalive", "socket_read_size", "timeout",
    "retry_on_timeout", "max_connections", "health_check_interval", "protocol", "decode_responses",
    "client_name", "legacy_responses",
}  # fmt: skip

_CLUSTER_ERRORS: Final = (exceptions.ClusterError, exceptions.MovedError, exceptions.AskError)
_REFUSALS: Final = (
    exceptions.AuthenticationError,
    exceptions.AuthorizationError,
    exceptions.NoPermissionError,
)
_OUTAGES: Final = (exceptions.ConnectionError, exceptions.TimeoutError)
#: Errors that disappear with time, or when the server's administrator repairs the cause.
_TEMPORARY: Final = (exceptions.ReadOnlyError, exceptions.OutOfMemoryError, exceptions.MasterDownError)
#: The same, for errors without a class of their own: the first word of the message.
_TEMPORARY_CODES: Final = ("MISCONF", "NOREPLICAS", "BUSY", "UNKILLABLE", "UNBLOCKED")


def url(settings: Settings) -> str:
    """Return the URL of Redis; if none is set, the embedded server's, which is started if necessary.

    Raises:
        RedisUnavailable: The embedded server does not start.
        Misconfigured: The server's program is not installed, or its folder cannot be made.
    """
    return Prefixed(settings.redis.url or embedded.ensure(settings.state_dir), settings.redis.prefix)


def prefix(source: object) -> str:
    """Return the prefix of all names in Redis, for a client of this module or for the URL that it was made from."""
    return str(getattr(source, "prefix", ""))


def key(client: redis.Redis, name: object) -> str:
    """Return the name that a channel or a key has on the server: with the prefix of the client."""
    return f"{prefix(client)}{name}"


def patient(url: str, *, name: str = "orderctl") -> redis.Redis:
    """Return a client that waits for its connection without a limit, with capped backoff.

    A connection that is lost during a command still raises an error: it is unknown whether the command ran,
    so it is not sent again.

    Args:
        url: The URL, as in ``settings.redis.url``.
        name: The client's name in ``CLIENT LIST``.

    Raises:
        Misconfigured: The URL is not valid; on first use: a Redis Cluster or a wrong password.
    """
    return _client(PatientPool, url, name, connect_seconds=2, answer_seconds=10)


def brisk(url: str, *, name: str = "orderctl") -> redis.Redis:
    """Return a client that fails within about three seconds; for commands that a user waits for.

    Raises:
        Misconfigured: The URL is not valid; on first use: a Redis Cluster.
    """
    return _client(ConnectionPool, url, name, connect_seconds=1, answer_seconds=2)


def hasty(url: str) -> redis.Redis:
    """Return a client that gives up after 0.2 s; for progress, where the next message replaces a lost one.

    Raises:
        Misconfigured: The URL is not valid.
    """
    return _client(ConnectionPool, url, None, connect_seconds=0.2, answer_seconds=0.2)


def _client(
    pool: type[ConnectionPool],
    url: str,
    name: str | None,
    *,
    connect_seconds: float,
    answer_seconds: float,
) -> redis.Redis:
    options: dict[str, Any] = endpoint(url) | {
        "socket_connect_timeout": connect_seconds,
        "socket_timeout": answer_seconds,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,  # RESP3 adds two round trips to a connection and a log record to each message
        "driver_info": None,  # two further round trips
        "client_name": name,
    }
    # Over TLS, _greet also reads the session tickets that the server sends unasked. redis-py would take them
    # for an unread reply and refuse the connection.
    if name is not None or options.get("connection_class") is SSLConnection:
        options["redis_connect_func"] = _greet
    client = _Client(connection_pool=pool(**options))
    client.prefix = prefix(url)
    client.auto_close_connection_pool = True
    return client


def endpoint(url: str) -> dict[str, Any]:
    """Return the address and the credentials of a URL, without timeouts and retries.

    Raises:
        Misconfigured: The URL is not a valid Redis URL, or has an unknown option.
    """
    try:
        options: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
        str(options.get("host", "")).encode("idna")
    except (ValueError, UnicodeError) as error:
        raise Misconfigured(f"setting redis.url: {error}", hint="orderctl config show") from None
    for name in options:
        if name not in _ENDPOINT | _IGNORED and not name.startswith("ssl_"):
            raise Misconfigured(f"setting redis.url: unknown option {name!r}", hint="orderctl config show")
    return {name: value for name, value in options.items() if name not in _IGNORED}


class _Client(redis.Redis):
    """A client that knows the prefix of its names."""

    prefix = ""


class PatientPool(ConnectionPool):
    """A connection pool that waits for a connection without a limit.

    Only connecting is retried, and not after a wrong password.

    Attributes:
        waits: Whether to wait; :func:`hurry` sets it to False.
    """

    waits = True

    def get_connection(self, *_: object, **__: object) -> Any:
        """Return a connection that is ready for a command."""
        attempt = 0
        while True:
            try:
                connection = super().get_connection()
            except (exceptions.MaxConnectionsError, *_REFUSALS):
                raise
            except (exceptions.ConnectionError, exceptions.TimeoutError) as error:
                if not self.waits:
                    raise
                if attempt == 0:
                    _log.warning("Redis does not answer, trying again: %s", error)
                clock.rest(backoff(attempt), lambda: not self.waits)
                attempt += 1
            else:
                if attempt:
                    _log.warning("Redis answers again")
                return connection


def hurry(client: redis.Redis) -> None:
    """Make a patient client stop waiting for a connection, because its process is about to end."""
    cast("PatientPool", client.connection_pool).waits = False


def backoff(attempt: int) -> float:
    """Return the seconds to wait before the next attempt to connect (counted from 0), jittered and capped."""
    return min(_BACKOFF_CAP, 0.05 * 2.0 ** min(attempt, 10)) * random.uniform(0.5, 1)


def _greet(connection: Any) -> None:
    """Set up a new connection, and refuse a Redis Cluster.

    RQ raises the client's read timeout to minutes. Without a shorter one here, a hung server would block for
    as long.
    """
    socket = connection._get_socket()  # noqa: SLF001 - redis-py has no public way to it
    socket.settimeout(min(_GREETING_SECONDS, connection.socket_timeout or _GREETING_SECONDS))
    connection.on_connect()
    connection.send_command("INFO", "cluster", check_health=False)
    try:
        clustered = b"cluster_enabled:1" in connection.read_response()
    except exceptions.ResponseError:  # no right to use INFO; a cluster reports itself later by its own errors
        clustered = False
    if clustered:
        connection.disconnect()
        raise _cluster_refused()
    socket.settimeout(connection.socket_timeout)


def _cluster_refused() -> Misconfigured:
    return Misconfigured(
        "setting redis.url: this server belongs to a Redis Cluster, which orderctl does not support:"
        " the queue and the snapshots need all keys on one server",
        hint="use a Redis or Valkey server without cluster mode; it may have replicas",
    )


def translate(error: exceptions.RedisError) -> OrderctlError:
    """Return the OrderctlError for an error of redis-py."""
    text = f"{error.status_code or ''} {error}".strip()
    misconfigured = _as_misconfigured(error, text)
    if misconfigured is not None:
        return misconfigured
    if isinstance(error, _TEMPORARY) or text.startswith(_TEMPORARY_CODES):
        return RedisUnavailable(f"Redis refuses to write: {text}", hint="read the log of the Redis server")
    if isinstance(error, _OUTAGES):
        return RedisUnavailable(f"Redis does not answer: {text}", hint="orderctl config show")
    return OrderctlError(f"Redis reports: {text}")


def _as_misconfigured(error: exceptions.RedisError, text: str) -> Misconfigured | None:
    if isinstance(error, _CLUSTER_ERRORS):
        return _cluster_refused()
    if isinstance(error, _REFUSALS):
        return Misconfigured(f"Redis denies access: {text}", hint="orderctl config show")
    if isinstance(error, exceptions.InvalidResponse):
        return Misconfigured(
            f"the server at redis.url is not Redis: {text[:80]}", hint="orderctl config show"
        )
    if "DB index is out of range" in text:
        return Misconfigured(
            "setting redis.url: Redis has no database with this number", hint="orderctl config show"
        )
    return None


@contextmanager
def translating() -> Iterator[None]:
    """Turn errors of redis-py into OrderctlErrors.

    Raises:
        RedisUnavailable: Redis does not answer, or refuses to write.
        Misconfigured: Redis denies access, or the server is a cluster or not Redis.
    """
    try:
        yield
    except exceptions.RedisError as error:
        raise translate(error) from error


def ping(client: redis.Redis) -> None:
    """Check that Redis answers and that orderctl may use it.

    Raises:
        RedisUnavailable: Redis does not answer.
        Misconfigured: Redis denies access, or the server is a cluster or not Redis.
    """
    with translating():
        client.ping()
