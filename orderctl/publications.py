"""Publish messages on the channels, and store the last message of each channel as its snapshot, atomically.

All of it may be lost: everything important is in the database before.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

import redis
from redis import exceptions

from orderctl import broker, faultpoints, messages
from orderctl.channels import (
    SNAPSHOT_TTL,
    Channel,
    order_progress,
    sent_marker,
    task_progress,
)
from orderctl.errors import InvalidMessage, Misconfigured, OrderctlError
from orderctl.messages import Data, Payload, StatusChange, TaskProgress

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Script:
    """A Lua script: it runs atomically, in one round trip."""

    source: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.sha1(self.source.encode()).hexdigest())  # noqa: S324

    def run(self, client: redis.Redis, keys: list[str], arguments: list[Any]) -> Any:
        faultpoints.point("publish.before")
        answer = self._run(client, keys, arguments)
        faultpoints.point("publish.after")
        return answer

    def _run(self, client: redis.Redis, keys: list[str], arguments: list[Any]) -> Any:
        command: tuple[Any, ...] = ("EVALSHA", self.digest, len(keys), *keys, *arguments)
        try:
            return client.execute_command(*command)  # type: ignore[no-untyped-call]
        except exceptions.NoScriptError:
            with broker.translating():
                return client.execute_command("EVAL", self.source, *command[2:])  # type: ignore[no-untyped-call]
        except exceptions.RedisError as error:
            raise broker.translate(error) from error


# A Redis that takes no writes (without free memory, with a full disk, a replica) still passes messages on. So they are
# published first, and a snapshot that it refuses to keep does not stop the script. Other errors do.
_KEEP: Final = """
local failed
local function keep(name, ...)
  local kept = redis.pcall('SET', name, ...)
  if type(kept) ~= 'table' or not kept.err then return kept end
  for _, code in ipairs({'OOM', 'MISCONF', 'READONLY', 'NOREPLICAS'}) do
    if string.find(kept.err, code, 1, true) then return nil end
  end
  failed = kept
end
"""

# An older message must not look like the last one; DEL is allowed without free memory.
_PUBLISH: Final = _Script(
    _KEEP
    + """
local listeners = redis.call('PUBLISH', KEYS[1], ARGV[1])
if not keep(KEYS[1], ARGV[1], 'EX', ARGV[2]) then redis.pcall('DEL', KEYS[1]) end
return failed or listeners
"""
)

# KEYS: the channels of the task, of the order, and of the sibling tasks that may be running.
# ARGV: the task's payload, TTL, percent; the start of the order's payload; sum and count of final percents.
# The order's timestamp is from the server's clock: workers on several machines publish on this channel.
_PUBLISH_PROGRESS: Final = _Script(
    _KEEP
    + """
local listeners = redis.call('PUBLISH', KEYS[1], ARGV[1])
keep(KEYS[1], ARGV[1], 'EX', ARGV[2])
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
keep(KEYS[2], payload, 'EX', ARGV[2])
return failed or listeners
"""
)


def publish(client: redis.Redis, channel: Channel, data: Mapping[str, Any]) -> int:
    """Publish a message and store it as the channel's snapshot, atomically.

    Returns:
        The number of listeners.

    Raises:
        RedisUnavailable: Redis does not answer.
        Misconfigured: Redis denies access.
    """
    return int(_PUBLISH.run(client, [broker.key(client, channel)], [messages.encode(data), SNAPSHOT_TTL]))


def send(client: redis.Redis, message: Payload) -> int:
    """Publish a message on its channel.

    Returns:
        The number of listeners.

    Raises:
        RedisUnavailable: Redis does not answer.
        Misconfigured: Redis denies access.
    """
    return publish(client, message.channel, message.data())


# The marker lives longer than any pause between two tries of a courier. Where it cannot be kept, twice is better than
# never.
_PUBLISH_ONCE: Final = _Script(
    _KEEP
    + """
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
keep(KEYS[2], 1, 'EX', 86400)
if failed then return failed end
redis.call('PUBLISH', KEYS[1], ARGV[1])
if not keep(KEYS[1], ARGV[1], 'EX', ARGV[2]) then redis.pcall('DEL', KEYS[1]) end
return failed or 1
"""
)


def publish_once(client: redis.Redis, name: str, channel: Channel, data: Mapping[str, Any]) -> bool:
    """Publish and store a message unless one with this name was published in the last 24 hours.

    Returns:
        Whether the message was published now.

    Raises:
        RedisUnavailable: Redis does not answer.
        Misconfigured: Redis denies access.
    """
    keys = [broker.key(client, channel), broker.key(client, sent_marker(name))]
    with broker.translating():
        return bool(_PUBLISH_ONCE.run(client, keys, [messages.encode(data), SNAPSHOT_TTL]))


def publish_progress(
    client: redis.Redis, progress: TaskProgress, order_id: int, siblings: Mapping[int, float | None]
) -> int:
    """Publish the progress of a task and of its order, and store both as snapshots, atomically.

    The order's percent is the mean of its tasks' percents.

    Args:
        client: A Redis client, usually :func:`broker.hasty`.
        progress: The task's progress.
        order_id: The task's order.
        siblings: The order's tasks without the cancelled ones, by id: the final percent (completed 100,
            failed 0), or None to use the task's snapshot (0 without one). The task itself may be among them.

    Returns:
        The number of listeners on the task's channel.

    Raises:
        RedisUnavailable: Redis does not answer.
        Misconfigured: Redis denies access.
    """
    others = [task_id for task_id in siblings if task_id != progress.task_id]
    final = [percent for task_id in others if (percent := siblings[task_id]) is not None]
    live = [task_progress(task_id) for task_id in others if siblings[task_id] is None]
    head = messages.encode({"orderId": order_id, "currentFile": progress.current_file})
    named = [task_progress(progress.task_id), order_progress(order_id), *live]
    keys = [broker.key(client, channel) for channel in named]
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
    """Return the last message of each channel that has one; invalid messages are left out.

    Raises:
        RedisUnavailable: Redis does not answer.
        Misconfigured: Redis denies access.
    """
    wanted = list(channels)
    if not wanted:
        return {}
    with broker.translating():
        payloads = cast(
            "list[bytes | None]", client.mget([broker.key(client, channel) for channel in wanted])
        )
    found = {}
    for channel, payload in zip(wanted, payloads, strict=True):
        try:
            if payload is not None:
                found[channel] = messages.decode(channel, payload)
        except InvalidMessage as error:
            _log.debug("the snapshot of %s is not a valid message: %s", channel, error)
    return found


def changes(client: redis.Redis, messages: Iterable[StatusChange]) -> Misconfigured | None:
    """Publish status changes. If Redis does not answer, this only logs it.

    Returns:
        The refusal, if Redis refuses to publish.
    """
    for message in messages:
        try:
            send(client, message)
        except OrderctlError as error:
            _log.info("a status message could not be published: %s", error)
            return error if isinstance(error, Misconfigured) else None
    return None
