"""Clients for Redis and Valkey, with three kinds of timeouts, and the translation of their errors.

The defaults of redis-py do not fit a queue: it sends a command again after an error (even one that must not
run twice), tries a hung server ten times, and treats a wrong password as an outage. So each client here sets
its own timeouts, and none sends a command twice:

* :func:`patient` waits for the connection without a limit; for workers.
* :func:`brisk` fails within three seconds; for commands.
* :func:`hasty` fails within 0.2 s; for messages that must not delay a download.
"""

from __future__ import annotations

import json
import logging
import random
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast

import redis
from redis import exceptions
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.retry import Retry

from orderctl import clock, embedded, redis_connections, redis_urls, rights
from orderctl.errors import Misconfigured, OrderctlError, RedisUnavailable
from orderctl.redis_connections import cluster_refused
from orderctl.redis_urls import Endpoint, Prefixed
from orderctl.rights import Need, Part
from orderctl.settings import Settings

_log = logging.getLogger(__name__)

#: Maximum pause of the patient client between two attempts to connect, in seconds.
_BACKOFF_CAP: Final = 2.0
_CLUSTER_ERRORS: Final = (exceptions.ClusterError, exceptions.MovedError, exceptions.AskError)
_LOGIN_REFUSED: Final = (exceptions.AuthenticationError, exceptions.AuthorizationError)
_OUTAGES: Final = (exceptions.ConnectionError, exceptions.TimeoutError)
#: Errors that disappear with time, or when the server's administrator repairs the cause.
_TEMPORARY: Final = (exceptions.ReadOnlyError, exceptions.OutOfMemoryError, exceptions.MasterDownError)
#: The same, for errors without a class of their own: the first word of the message.
_TEMPORARY_CODES: Final = ("MISCONF", "NOREPLICAS", "BUSY", "UNKILLABLE", "UNBLOCKED")

_IN_A_PIPELINE: Final = re.compile(
    r"\ACommand # \d+ \((?P<command>.*?)\) of pipeline caused error: ", re.DOTALL
)


def url(settings: Settings) -> str:
    """Return the URL of Redis; if none is set, the embedded server's, which is started if necessary.

    Raises:
        RedisUnavailable: The embedded server does not start.
        Misconfigured: The server's program is not installed, or its folder cannot be made.
    """
    return Prefixed(settings.redis.url or embedded.ensure(settings.state_dir), settings.redis.prefix)


def running_url(settings: Settings) -> str | None:
    """Return the URL of Redis; None if it is the embedded server and that is not running. It is not started.

    Raises:
        RedisUnavailable: The embedded server is running, and does not answer.
    """
    url = settings.redis.url or embedded.find(settings.state_dir)
    return None if url is None else Prefixed(url, settings.redis.prefix)


def prefix(source: object) -> str:
    """Return the prefix of all names in Redis, for a client of this module or for the URL that it was made from."""
    return str(getattr(source, "prefix", ""))


def read_json(value: bytes) -> Any:
    """Return what stands in a key of orderctl's as JSON; None if other programs have written something else there."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


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
    server = endpoint(url)
    options: dict[str, Any] = redis_connections.options(server) | {
        "socket_connect_timeout": connect_seconds,
        "socket_timeout": answer_seconds,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,  # RESP3 adds two round trips to a connection and a log record to each message
        "driver_info": None,  # two further round trips
    }
    # Over TLS, the greeting also reads the session tickets that the server sends unasked. redis-py would take them
    # for an unread reply and refuse the connection.
    if name is not None or server.tls is not None:
        options["redis_connect_func"] = lambda connection: connection.greet(name)
    client = _Client(connection_pool=pool(**options))
    client.prefix = prefix(url)
    client.place = redis_urls.arguments(server)
    client.auto_close_connection_pool = True
    return client


def endpoint(url: str) -> Endpoint:
    """Return the server of a URL, and who logs in.

    Raises:
        Misconfigured: The URL is not a valid Redis URL, or has an unknown option.
    """
    try:
        return redis_urls.parse(url)
    except ValueError as error:
        raise Misconfigured(f"setting redis.url: {error}", hint="orderctl config show") from None


class _Client(redis.Redis):
    """A client that knows the prefix of its names, and which command was refused."""

    prefix = ""
    place: tuple[str, ...] = ()  #: What names its server on the command line of redis-cli.

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command, and return its answer."""
        try:
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except exceptions.ResponseError as error:
            names = args[3:4] if str(args[0]).startswith("EVAL") else args[1:2]
            error.asked = " ".join(str(word) for word in (args[0], *names))  # type: ignore[attr-defined]
            raise


class PatientPool(ConnectionPool):
    """A connection pool that waits for a connection without a limit.

    Only connecting is retried. A refusal, such as a wrong password, ends the first attempt; later on the
    administrator may repair it while the worker waits.

    Attributes:
        waits: Whether to wait; :func:`hurry` sets it to False.
    """

    waits = True
    _was_connected = False

    def get_connection(self, *_: object, **__: object) -> Any:
        """Return a connection that is ready for a command."""
        attempt, said = 0, ""
        while True:
            try:
                connection = super().get_connection()
            except exceptions.MaxConnectionsError:
                raise
            except (exceptions.ConnectionError, exceptions.TimeoutError, Misconfigured) as error:
                trouble = error if isinstance(error, Misconfigured) else translate(error)
                refused = isinstance(trouble, Misconfigured)
                if not self.waits or (refused and not self._was_connected):
                    raise
                kind = f"{trouble}" if refused else "outage"
                if kind != said:
                    _log.warning("%s; trying again", trouble)
                    said = kind
                clock.rest(backoff(attempt), lambda: not self.waits)
                attempt += 1
            else:
                self._was_connected = True
                if attempt:
                    _log.warning("Redis answers again")
                return connection


def hurry(client: redis.Redis) -> None:
    """Make a patient client stop waiting for a connection, because its process is about to end."""
    cast("PatientPool", client.connection_pool).waits = False


def backoff(attempt: int) -> float:
    """Return the seconds to wait before the next attempt to connect (counted from 0), jittered and capped."""
    return min(_BACKOFF_CAP, 0.05 * 2.0 ** min(attempt, 10)) * random.uniform(0.5, 1)


def is_refusal(error: Exception) -> bool:
    """Whether an error of redis-py or of orderctl lasts until a setting or a right is repaired."""
    return isinstance(error, Misconfigured) or (
        isinstance(error, exceptions.RedisError) and isinstance(translate(error), Misconfigured)
    )


def is_full_disk(error: exceptions.RedisError) -> bool:
    """Whether Redis takes no writes because it could not save its data. It answers a PING with this error, too."""
    return _text(error).startswith("MISCONF")


def translate(error: exceptions.RedisError) -> OrderctlError:
    """Return the OrderctlError for an error of redis-py."""
    text = _text(error)
    misconfigured = _as_misconfigured(error, text)
    if misconfigured is not None:
        return misconfigured
    if isinstance(error, _TEMPORARY) or text.startswith(_TEMPORARY_CODES):
        return RedisUnavailable(f"Redis refuses to write: {text}", hint="read the log of the Redis server")
    if isinstance(error, _OUTAGES):
        return RedisUnavailable(f"Redis does not answer: {text}", hint="orderctl config show")
    return OrderctlError(f"Redis reports: {text}")


def _text(error: exceptions.RedisError) -> str:
    # The code has to come first: redis-py puts the pipeline's command before what Redis said.
    return f"{error.status_code or ''} {_IN_A_PIPELINE.sub('', str(error))}".strip()


def _asked(error: exceptions.RedisError) -> str:
    piped = _IN_A_PIPELINE.match(str(error))
    return " ".join(piped["command"].split()[:2]) if piped else str(getattr(error, "asked", ""))


def _as_misconfigured(error: exceptions.RedisError, text: str) -> Misconfigured | None:
    if isinstance(error, _CLUSTER_ERRORS):
        return cluster_refused()
    if isinstance(error, _LOGIN_REFUSED) or rights.is_refusal(text):
        return rights.explain(text, _asked(error))
    if "WRONGTYPE" in text:
        return Misconfigured(
            f"another program uses the name of a key of orderctl's: {text}",
            hint="set redis.prefix or worker.queue to a name that no other program on this Redis uses",
        )
    if isinstance(error, exceptions.InvalidResponse):
        return Misconfigured(
            f"the server at redis.url is not Redis: {text[:80]}", hint="orderctl config show"
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


def require(client: redis.Redis, part: Part, queue: str = "") -> None:
    """Check that Redis answers, and that it gives a part of orderctl all rights that it needs. Changes nothing.

    Args:
        client: A client of this module.
        part: What is about to use Redis.
        queue: The RQ queue; for ``Part.WORK``.

    Raises:
        RedisUnavailable: Redis does not answer.
        OnlyReads: The account has the right to read, and none to write.
        Misconfigured: Redis denies access, or the server is a cluster or not Redis; names all missing rights.
    """
    tried = rights.needs(part, lambda name: key(client, name), queue)
    pool = client.connection_pool
    with translating():
        connection = pool.get_connection()
        try:
            missing = _try(connection, tried)
        finally:
            connection.disconnect()  # type: ignore[no-untyped-call]
            pool.release(connection)
    if missing is None:
        return
    if missing.hint is not None and missing.hint.startswith(rights.PROGRAM):
        missing.hint = shell_line(client) + missing.hint.removeprefix(rights.PROGRAM)
    raise missing


def shell_line(client: redis.Redis | None, *words: str) -> str:
    """Return the command line of redis-cli that sends a command to the server of a client; it has no password."""
    return shlex.join((rights.PROGRAM, *getattr(client, "place", ()), *words))


def only_reads(client: redis.Redis, queue: str) -> bool:
    """Whether the account has the right to read, and none to write; see :func:`require`.

    Raises:
        RedisUnavailable: Redis does not answer, or refuses to write.
    """
    try:
        require(client, Part.WORK, queue)
    except rights.OnlyReads:
        return True
    except Misconfigured:
        pass
    return False


def _try(connection: Any, tried: Sequence[Need]) -> Misconfigured | None:
    first, rest = rights.before(tried), rights.within(tried)
    answers = _ask(connection, first)
    if answers[-1] is not None:
        # The rest cannot be tried without a transaction; all of its commands are named, so that one repair suffices.
        return rights.find_missing(first, answers, connection.username, untried=rest)
    answers += _ask(connection, rest)
    return rights.find_missing([*first, *rest], answers, connection.username)


def _ask(connection: Any, tried: Sequence[Need]) -> list[str | None]:
    connection.send_packed_command(connection.pack_commands([need.words for need in tried]))
    return [_answer(connection) for _ in tried]


def _answer(connection: Any) -> str | None:
    """Read an answer; return the text of an error, or None."""
    try:
        connection.read_response()
    except exceptions.ResponseError as error:
        return _text(error)
    return None


def require_writes(client: redis.Redis, name: str) -> None:
    """Check that Redis takes writes now: it is no replica, has memory left and can save. Changes nothing.

    The write is queued in a transaction that is discarded: Redis refuses it when it is queued.

    Args:
        client: A client of this module, with the right to write.
        name: The key that would be written.

    Raises:
        RedisUnavailable: Redis does not answer, or refuses to write.
        Misconfigured: Redis denies access.
    """
    pool = client.connection_pool
    with translating():
        connection = pool.get_connection()
        try:
            for words in (("MULTI",), ("SET", name, "x"), ("DISCARD",)):
                connection.send_command(*words)  # type: ignore[no-untyped-call]
                connection.read_response()
        finally:
            connection.disconnect()  # type: ignore[no-untyped-call]
            pool.release(connection)


def ping(client: redis.Redis) -> None:
    """Check that Redis answers; see :func:`require` for the rights.

    Raises:
        RedisUnavailable: Redis does not answer.
        Misconfigured: Redis denies access, or the server is a cluster or not Redis.
    """
    with translating():
        client.ping()
