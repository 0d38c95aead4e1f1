"""Redis and Valkey: three ways to connect, and what their errors mean.

redis-py's own defaults do not fit a queue: they send a command again after an error (also one that must
not run twice), wait for a hung server ten times over, and take a wrong password for an outage. So each
client here states its timeouts, and none ever sends a command twice:

* :func:`patient` waits for the connection as long as it takes; for workers.
* :func:`brisk` fails within three seconds; for commands.
* :func:`hasty` fails within 0.2 s; for what must not hold up a download.
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
from orderctl.settings import Settings

_log = logging.getLogger(__name__)

#: Longest wait for an answer while a connection is set up, in seconds.
_GREETING_SECONDS: Final = 2.0
#: Longest pause of the patient client between two attempts to connect, in seconds.
_BACKOFF_CAP: Final = 2.0
#: What a URL may say of a connection; timeouts and retries are ours to set.
_ENDPOINT: Final = {"connection_class", "host", "port", "path", "db", "username", "password"}
#: Options of redis-py that a URL shared with another program may carry: without effect here.
_OURS_TO_SET: Final = {
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
#: What time or the server's administrator mends; some are known by their first word only.
_PASSING: Final = (exceptions.ReadOnlyError, exceptions.OutOfMemoryError, exceptions.MasterDownError)
_PASSING_CODES: Final = ("MISCONF", "NOREPLICAS", "BUSY", "UNKILLABLE")


def url(settings: Settings) -> str:
    """The URL of Redis; without one in the settings the embedded server's, which is started if need be.

    Raises:
        RedisUnavailable: When the embedded server does not start.
        Misconfigured: When there is no server program, or no folder for it.
    """
    return settings.redis.url or embedded.ensure(settings.state_dir)


def patient(url: str, *, name: str = "orderctl") -> redis.Redis:
    """A client that waits for its connection as long as it takes, with capped backoff.

    A connection that is lost in the middle of a command raises all the same: whether the command ran is
    not known, and it is not sent again.

    Args:
        url: As ``settings.redis.url``.
        name: What ``CLIENT LIST`` shows.

    Raises:
        Misconfigured: When the URL is none, on a Redis Cluster or a wrong password (on first use).
    """
    return _client(PatientPool, url, name, connect_seconds=2, answer_seconds=10)


def brisk(url: str, *, name: str = "orderctl") -> redis.Redis:
    """A client that fails within about three seconds; for commands that somebody waits for.

    Raises:
        Misconfigured: When the URL is none, on a Redis Cluster (on first use).
    """
    return _client(ConnectionPool, url, name, connect_seconds=1, answer_seconds=2)


def hasty(url: str) -> redis.Redis:
    """A client that gives up after 0.2 s; for progress, of which the next message makes up for a lost one.

    Raises:
        Misconfigured: When the URL is none.
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
    # Over TLS the greeting also reads the session tickets that come unasked: redis-py takes them for an answer
    # that was left unread, and refuses the connection.
    if name is not None or options.get("connection_class") is SSLConnection:
        options["redis_connect_func"] = _greet
    client = redis.Redis(connection_pool=pool(**options))
    client.auto_close_connection_pool = True
    return client


def endpoint(url: str) -> dict[str, Any]:
    """What a URL says of where to connect and as whom; its timeouts and retries are left out.

    Raises:
        Misconfigured: When it is no URL of Redis, or has an option that nobody knows.
    """
    try:
        options: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
        str(options.get("host", "")).encode("idna")
    except (ValueError, UnicodeError) as error:
        raise Misconfigured(f"setting redis.url: {error}", hint="orderctl config show") from None
    for name in options:
        if name not in _ENDPOINT | _OURS_TO_SET and not name.startswith("ssl_"):
            raise Misconfigured(f"setting redis.url: unknown option {name!r}", hint="orderctl config show")
    return {name: value for name, value in options.items() if name not in _OURS_TO_SET}


class PatientPool(ConnectionPool):
    """A pool that hands out a connection when there is one, however long that takes.

    Only connecting is tried again. A password that is wrong does not become right by trying.

    Attributes:
        waits: Cleared by :func:`hurry`.
    """

    waits = True

    def get_connection(self, *_: object, **__: object) -> Any:
        """A connection that is ready for a command."""
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
    """Have a patient client wait for no connection any more: its process is about to end."""
    cast("PatientPool", client.connection_pool).waits = False


def backoff(attempt: int) -> float:
    """Seconds to wait before the next attempt to connect, counted from 0; jittered and capped."""
    return min(_BACKOFF_CAP, 0.05 * 2.0 ** min(attempt, 10)) * random.uniform(0.5, 1)


def _greet(connection: Any) -> None:
    """Set up a new connection, and refuse a Redis Cluster.

    RQ raises the client's read timeout to minutes; a hung server would hold up the greeting for as long.
    """
    socket = connection._get_socket()  # noqa: SLF001 - there is no public way to it
    socket.settimeout(min(_GREETING_SECONDS, connection.socket_timeout or _GREETING_SECONDS))
    connection.on_connect()
    connection.send_command("INFO", "cluster", check_health=False)
    try:
        clustered = b"cluster_enabled:1" in connection.read_response()
    except exceptions.ResponseError:  # not allowed to ask; a cluster's own errors will tell
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
    """The error of ours that says what an error of redis-py means."""
    text = f"{error.status_code or ''} {error}".strip()
    misconfigured = _as_misconfigured(error, text)
    if misconfigured is not None:
        return misconfigured
    if isinstance(error, _PASSING) or text.startswith(_PASSING_CODES):
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
        return Misconfigured("setting redis.url: Redis has no database with this number")
    return None


@contextmanager
def translating() -> Iterator[None]:
    """Turn redis-py's errors into ours.

    Raises:
        RedisUnavailable: When Redis does not answer, or takes no changes.
        Misconfigured: When it refuses us, is a cluster, or no Redis at all.
    """
    try:
        yield
    except exceptions.RedisError as error:
        raise translate(error) from error


def ping(client: redis.Redis) -> None:
    """Make sure that Redis is there and that we may use it.

    Raises:
        RedisUnavailable: When it does not answer.
        Misconfigured: When it refuses us, is a cluster, or no Redis at all.
    """
    with translating():
        client.ping()
