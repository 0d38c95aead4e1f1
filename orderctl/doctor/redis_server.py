"""Redis: its version and role, its memory, whether it takes writes, its clock, and the rights of our account."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from orderctl import broker, counting
from orderctl.counting import counted
from orderctl.doctor import redis_disk
from orderctl.doctor.checks import Area, Check, Verdict
from orderctl.doctor.redis_repairs import command
from orderctl.doctor.surroundings import Surroundings
from orderctl.errors import Misconfigured
from orderctl.health import redis_causes
from orderctl.relay import access
from orderctl.rights import Part
from orderctl.settings import Settings

_AREA: Final = Area.REDIS
#: The oldest version that has all commands.
_OLDEST: Final = (6, 2)
#: Parts of the memory, and of the connections, that are nearly all of it.
_NEARLY: Final = 0.9
_OF_MACHINE: Final = 0.8
#: Seconds by which the clock may differ.
_SKEW: Final = 2.0
#: What each part of orderctl is called, and whether it cannot do without its rights.
_PARTS: Final = {
    Part.WORK: ("workers, and commands that queue tasks", True),
    Part.RELAY: ("the relay", True),
    Part.LISTEN: ("orderctl tail", True),
    Part.SIGN: ("the relay's sign, by which status and doctor see it", False),
}

#: Checks that say more about writes that are refused than the server's answer.
_SAY_MORE: Final = {"role", "memory", "saving"}

Info = Mapping[str, Any]


def examine(around: Surroundings) -> Iterator[Check]:
    """Look at what the server says of itself, and whether it takes writes."""
    told = False
    for check in _of_info(_info(around), around):
        told |= check.verdict is Verdict.FAULT and check.name in _SAY_MORE
        yield check
    if not told:
        yield from _writes(around)


def _writes(around: Surroundings) -> Iterator[Check]:
    """Say why writes are refused, which the look at the stores has found; rights have checks of their own."""
    refusal = None if around.redis.sign is None else around.redis.sign.refusal
    if refusal is None or isinstance(refusal, Misconfigured):
        return
    cause = redis_causes.of(refusal)
    text = str(refusal).rstrip(".")
    yield Check(_AREA, "writable", Verdict.FAULT, text, cause.repair, cause.explanation)


def _of_info(info: Info, around: Surroundings) -> Iterator[Check]:
    yield _version(info)
    yield _role(info)
    yield _eviction(info, around.settings)
    yield _memory(info, around.settings)
    yield from redis_disk.examine(info, around)
    yield _clients(info, around.settings)


def examine_clock(around: Surroundings) -> Iterator[Check]:
    """Compare the server's clock with this machine's."""
    with broker.translating():
        before = time.time()
        seconds, micros = around.client.time()
        skew = (before + time.time()) / 2 - (seconds + micros / 1e6)
    text = f"the clocks of Redis and this machine differ by {abs(skew):.3f} s"
    if abs(skew) <= _SKEW:
        yield Check(_AREA, "clock-skew", Verdict.WELL, text, value=round(skew, 3), unit="s")
        return
    late = "Redis's" if skew > 0 else "this machine's"
    yield Check(
        _AREA,
        "clock-skew",
        Verdict.WARNING,
        f"{text}: {late} is late",
        "timedatectl set-ntp true",
        "On the machine whose clock is wrong. Times in messages and of relays' signs are of the machine that sends them.",
        value=round(skew, 3),
        unit="s",
    )


def examine_rights(around: Surroundings) -> Iterator[Check]:
    """Try the rights of our account in a transaction that is discarded; it changes nothing."""
    yield from _open_to_all(around.settings)
    reads = only_reads(around)
    for part, (name, needed) in _PARTS.items():
        yield _rights(around, part, name, needed=needed, reads=reads)


def only_reads(around: Surroundings) -> bool:
    """Whether our account is there to read only, so that rights to write are not missed."""
    return around.settings.read_only or broker.only_reads(around.client, around.settings.worker.queue)


def _rights(around: Surroundings, part: Part, name: str, *, needed: bool, reads: bool) -> Check:
    check = f"rights-{part}"
    try:
        broker.require(around.client, part, around.settings.worker.queue)
    except Misconfigured as error:
        if reads and part is not Part.LISTEN:
            text = f"this account only reads; whether another one has the rights for {name} is not known"
            return Check(_AREA, check, Verdict.NOTE, text)
        hint = error.hint
        verdict = Verdict.FAULT if needed else Verdict.WARNING
        note = None if needed else "The relay works without, and says so in its log."
        if part is not Part.WORK:
            verdict = Verdict.WARNING
            note = "Only if it logs in with this account, too."
        return Check(_AREA, check, verdict, f"{name}: {error}", hint, note)
    return Check(_AREA, check, Verdict.WELL, f"the account has the rights for {name}")


def _open_to_all(settings: Settings) -> Iterator[Check]:
    url = broker.running_url(settings)
    place = None if url is None else broker.endpoint(url)
    if place is None or place.host is None or place.password is not None or access.is_loopback(place.host):
        return
    yield Check(
        _AREA,
        "password",
        Verdict.WARNING,
        f"{place.host} takes commands without a password: who reaches it can read and delete everything",
        command(settings, "ACL", "SETUSER", "default", ">PASSWORD"),
        "Then put the password into redis.url. docs/running.md has accounts with only the rights that are needed.",
    )


def _info(around: Surroundings) -> Info:
    with broker.translating():
        info: Any = around.client.info()
    return info if isinstance(info, dict) else {}


def _number(info: Info, name: str) -> int:
    value = info.get(name)
    return value if isinstance(value, int) else 0


def _version(info: Info) -> Check:
    valkey = info.get("valkey_version")
    version = str(valkey or info.get("redis_version") or "of an unknown version")
    name = "Valkey" if valkey else "Redis"
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if valkey or len(parts) < len(_OLDEST) or parts >= _OLDEST:
        return Check(_AREA, "version", Verdict.WELL, f"{name} {version}", value=version)
    return Check(
        _AREA,
        "version",
        Verdict.FAULT,
        f"{name} {version} is too old: 6.2 is the oldest that has all commands",
        explanation="Install a newer Redis, or Valkey.",
        value=version,
    )


def _role(info: Info) -> Check:
    if info.get("role") != "slave":
        text = f"it is the primary, with {counted(_number(info, 'connected_slaves'), 'replica')}"
        return Check(_AREA, "role", Verdict.WELL, text, value="primary")
    host, port = info.get("master_host"), info.get("master_port")
    return Check(
        _AREA,
        "role",
        Verdict.FAULT,
        f"it is a replica of {host} port {port}, which takes no writes",
        f"export ORDERCTL_REDIS_URL={shlex.quote(f'redis://{host}:{port}/0')}",
        "redis.url has to name the primary.",
        value="replica",
    )


def _eviction(info: Info, settings: Settings) -> Check:
    policy, limit = str(info.get("maxmemory_policy", "unknown")), _number(info, "maxmemory")
    evicted = _number(info, "evicted_keys")
    if policy in {"noeviction", "unknown"}:
        return Check(
            _AREA, "eviction", Verdict.WELL, "no keys are evicted when the memory is full", value=policy
        )
    everything = policy.startswith("allkeys")
    kept = (
        "the queue, paused queues and rejected jobs" if everything else "last messages and signs of workers"
    )
    if limit:
        verdict = Verdict.FAULT if everything else Verdict.WARNING
        text = (
            f"maxmemory-policy is {policy}: a full server deletes {kept} ({counted(evicted, 'key')} so far)"
        )
    else:
        verdict = Verdict.NOTE
        text = f"maxmemory-policy is {policy}, without effect while there is no maxmemory"
    return Check(
        _AREA,
        "eviction",
        verdict,
        text,
        command(settings, "CONFIG", "SET", "maxmemory-policy", "noeviction"),
        "And the same in redis.conf. A cache needs a server of its own.",
        value=policy,
    )


def _memory(info: Info, settings: Settings) -> Check:
    used, limit = _number(info, "used_memory"), _number(info, "maxmemory")
    machine = _number(info, "total_system_memory")
    if limit:
        share, most, of = used / limit, _NEARLY, f"the {counting.size(limit)} of maxmemory"
    else:
        share, most = (used / machine if machine else 0.0), _OF_MACHINE
        of = f"the machine's {counting.size(machine)}; there is no maxmemory"
    part = f"{share:.0%}" if share < 1 else "all"
    text = f"it uses {counting.size(used)}, {part} of {of}"
    if share < most:
        return Check(_AREA, "memory", Verdict.WELL, text, value=used, unit="bytes")
    full = bool(limit) and used >= limit and info.get("maxmemory_policy") == "noeviction"
    return Check(
        _AREA,
        "memory",
        Verdict.FAULT if full else Verdict.WARNING,
        f"{text}{': it refuses all writes' if full else ''}",
        command(settings, "CONFIG", "SET", "maxmemory", str(2 * used))
        if limit
        else command(settings, "--bigkeys"),
        "Look for what fills it: redis-cli --bigkeys. orderctl's own keys expire, except the queue.",
        value=used,
        unit="bytes",
    )


def _clients(info: Info, settings: Settings) -> Check:
    connected, most = _number(info, "connected_clients"), _number(info, "maxclients")
    text = f"{counted(connected, 'client')} of at most {most or 'an unknown number'}"
    if not most or connected < _NEARLY * most:
        return Check(_AREA, "clients", Verdict.WELL, text, value=connected, unit="clients")
    return Check(
        _AREA,
        "clients",
        Verdict.WARNING,
        f"{text}: soon it refuses connections",
        command(settings, "CONFIG", "SET", "maxclients", str(2 * most)),
        "redis-cli CLIENT LIST says whose they are.",
        value=connected,
        unit="clients",
    )
