"""Redis and Valkey: three ways to connect, the atomic publications, the snapshots, the errors.

redis-py's own defaults do not fit a queue: they send a command again after an error (also one that must
not run twice), wait for a hung server ten times over, and take a wrong password for an outage. So each
client here states its timeouts, and none ever sends a command twice:

* :func:`patient` waits for the connection as long as it takes; for workers.
* :func:`brisk` fails within three seconds; for commands.
* :func:`hasty` fails within 0.2 s; for what must not hold up a download.
"""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, cast

import redis
from redis import exceptions
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool, SSLConnection, parse_url
from redis.retry import Retry

from orderctl import clock, embedded, faults, messages
from orderctl.channels import (
    SNAPSHOT_TTL,
    Channel,
    order_progress,
    sent_marker,
    task_progress,
)
from orderctl.errors import InvalidMessage, Misconfigured, OrderctlError, RedisUnavailable
from orderctl.messages import Data, Payload, TaskProgress
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
        "setting redis.url: this is a Redis Cluster, which cannot hold the queue and the snapshots",
        hint="use a single Redis or Valkey, with replicas if you like",
    )


def translate(error: exceptions.RedisError) -> OrderctlError:
    """The error of ours that says what an error of redis-py means."""
    text = f"{error.status_code or ''} {error}".strip()
    misconfigured = _as_misconfigured(error, text)
    if misconfigured is not None:
        return misconfigured
    if isinstance(error, _PASSING) or text.startswith(_PASSING_CODES):
        return RedisUnavailable(f"Redis takes no changes now: {text}", hint="look at the server's log")
    if isinstance(error, _OUTAGES):
        return RedisUnavailable(f"Redis does not answer: {text}", hint="orderctl config show")
    return OrderctlError(f"Redis reports: {text}")


def _as_misconfigured(error: exceptions.RedisError, text: str) -> Misconfigured | None:
    if isinstance(error, _CLUSTER_ERRORS):
        return _cluster_refused()
    if isinstance(error, _REFUSALS):
        return Misconfigured(f"Redis refuses us: {text}", hint="check the setting redis.url")
    if isinstance(error, exceptions.InvalidResponse):
        return Misconfigured(f"what answers is not Redis: {text[:80]}", hint="check the setting redis.url")
    if "DB index is out of range" in text:
        return Misconfigured("setting redis.url: Redis has no database of that number")
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


@dataclass(frozen=True)
class _Script:
    """A Lua script: all of it happens at one moment, in one round trip."""

    source: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.sha1(self.source.encode()).hexdigest())  # noqa: S324

    def run(self, client: redis.Redis, keys: list[str], arguments: list[Any]) -> Any:
        faults.point("publish.before")
        answer = self._run(client, keys, arguments)
        faults.point("publish.after")
        return answer

    def _run(self, client: redis.Redis, keys: list[str], arguments: list[Any]) -> Any:
        command: tuple[Any, ...] = ("EVALSHA", self.digest, len(keys), *keys, *arguments)
        try:
            return client.execute_command(*command)  # type: ignore[no-untyped-call]
        except exceptions.NoScriptError:
            with translating():
                return client.execute_command("EVAL", self.source, *command[2:])  # type: ignore[no-untyped-call]
        except exceptions.RedisError as error:
            raise translate(error) from error


# Published before it is kept: a full Redis takes no keys, but still passes messages on.
_PUBLISH: Final = _Script("""
local heard = redis.call('PUBLISH', KEYS[1], ARGV[1])
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return heard
""")

# KEYS: the task's channel, the order's, those of the siblings that may be at work.
# ARGV: the task's payload, TTL, percent; the start of the order's payload; sum and number of the rest.
# The order's timestamp is the server's: workers on several machines write to this channel.
_PUBLISH_PROGRESS: Final = _Script("""
local heard = redis.call('PUBLISH', KEYS[1], ARGV[1])
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
local sum, count = ARGV[3] + ARGV[5], 1 + ARGV[6]
for i = 3, #KEYS do
  count = count + 1
  local kept = redis.pcall('GET', KEYS[i])
  if type(kept) == 'string' then
    local valid, data = pcall(cjson.decode, kept)
    if valid and type(data) == 'table' then
      if type(data.data) == 'table' then data = data.data end
      if type(data.percent) == 'number' and data.percent >= 0 and data.percent <= 100 then
        sum = sum + data.percent
      end
    end
  end
end
local now = redis.call('TIME')
local payload = string.format('%s"percent":%.14g,"timestamp":%s%03d}', ARGV[4],
  math.floor(sum / count * 100 + 0.5) / 100, now[1], math.floor(now[2] / 1000))
redis.call('PUBLISH', KEYS[2], payload)
redis.call('SET', KEYS[2], payload, 'EX', ARGV[2])
return heard
""")


def publish(client: redis.Redis, channel: Channel, data: Mapping[str, Any]) -> int:
    """Send a message and keep it as the channel's snapshot, at one moment.

    Returns:
        How many were listening.

    Raises:
        RedisUnavailable: When Redis does not answer, or takes no changes.
        Misconfigured: When it refuses us.
    """
    return int(_PUBLISH.run(client, [str(channel)], [messages.encode(data), SNAPSHOT_TTL]))


def send(client: redis.Redis, message: Payload) -> int:
    """Publish a message on the channel where it belongs.

    Returns:
        How many were listening.

    Raises:
        RedisUnavailable: When Redis does not answer, or takes no changes.
        Misconfigured: When it refuses us.
    """
    return publish(client, message.channel, message.data())


# The marker outlives any pause between two tries of one courier.
_PUBLISH_ONCE: Final = _Script("""
if not redis.call('SET', KEYS[2], 1, 'NX', 'EX', 86400) then return 0 end
redis.call('PUBLISH', KEYS[1], ARGV[1])
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
""")


def publish_once(client: redis.Redis, name: str, channel: Channel, data: Mapping[str, Any]) -> bool:
    """Send and keep a message unless one of that name was sent in the last day.

    Returns:
        Whether it was sent now.

    Raises:
        RedisUnavailable: When Redis does not answer, or takes no changes.
        Misconfigured: When it refuses us.
    """
    keys = [str(channel), sent_marker(name)]
    with translating():
        return bool(_PUBLISH_ONCE.run(client, keys, [messages.encode(data), SNAPSHOT_TTL]))


def publish_progress(
    client: redis.Redis, progress: TaskProgress, order_id: int, siblings: Mapping[int, float | None]
) -> int:
    """Send a task's progress and its order's, and keep both as snapshots, at one moment.

    The order's percent is the mean of its tasks'.

    Args:
        client: Usually :func:`hasty`.
        progress: The task's.
        order_id: Its order.
        siblings: The order's tasks but for the cancelled ones, by id: a percent that is final (completed
            100, failed 0), or None to take the task's snapshot (0 while there is none). The task itself
            may be among them.

    Returns:
        How many listened to the task.

    Raises:
        RedisUnavailable: When Redis does not answer, or takes no changes.
        Misconfigured: When it refuses us.
    """
    others = [task_id for task_id in siblings if task_id != progress.task_id]
    final = [percent for task_id in others if (percent := siblings[task_id]) is not None]
    live = [str(task_progress(task_id)) for task_id in others if siblings[task_id] is None]
    head = messages.encode({"orderId": order_id, "currentFile": progress.current_file})
    keys = [str(task_progress(progress.task_id)), str(order_progress(order_id)), *live]
    arguments = [
        messages.encode(progress.data()),
        SNAPSHOT_TTL,
        progress.percent,
        f"{head[:-1]},",
        sum(final),
        len(final),
    ]
    return int(_PUBLISH_PROGRESS.run(client, keys, arguments))


def snapshots(client: redis.Redis, channels: Iterable[Channel]) -> dict[Channel, Data]:
    """The last message of each channel that has one; what is no message is left out.

    Raises:
        RedisUnavailable: When Redis does not answer.
        Misconfigured: When it refuses us.
    """
    wanted = list(channels)
    if not wanted:
        return {}
    with translating():
        payloads = cast("list[bytes | None]", client.mget([str(channel) for channel in wanted]))
    found = {}
    for channel, payload in zip(wanted, payloads, strict=True):
        try:
            if payload is not None:
                found[channel] = messages.decode(channel, payload)
        except InvalidMessage as error:
            _log.debug("the snapshot of %s is no message: %s", channel, error)
    return found
