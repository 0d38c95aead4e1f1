"""Redis: what it keeps over a restart, and whether it can save that to its disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import redis
from redis import exceptions

from orderctl import broker
from orderctl.doctor.checks import Area, Check, Verdict
from orderctl.doctor.redis_repairs import command, grant
from orderctl.doctor.surroundings import Surroundings
from orderctl.settings import Settings

_AREA: Final = Area.REDIS


def examine_refusal(around: Surroundings) -> Iterator[Check]:
    """Say what repairs a server that takes no writes because it could not save: it refuses a PING, too."""
    fault = around.redis.fault
    cause = None if fault is None else fault.__cause__
    if not isinstance(cause, exceptions.RedisError) or not broker.is_full_disk(cause):
        return
    if (url := broker.running_url(around.settings)) is None:
        return
    failed = "aof_last_write_status" if "AOF" in str(cause) else "rdb_last_bgsave_status"
    with broker.brisk(url) as client:
        configured, _ = _configured(client)
        yield _saving({failed: "err"}, configured, around.settings, refuses=True)


def examine(info: Mapping[str, Any], around: Surroundings) -> Iterator[Check]:
    """Say whether the last save has succeeded, and what outlives a restart.

    Args:
        info: What the server says of itself.
        around: The server.
    """
    configured, refused = _configured(around.client)
    # A server that refuses writes because a save has failed refuses a PING, too: see `examine_refusal`.
    yield _saving(info, configured, around.settings, refuses=False)
    if info.get("aof_enabled"):
        text = "what Redis has outlives a restart: append-only file"
        yield Check(_AREA, "persistence", Verdict.WELL, text, value="appendonly")
    elif "save" in configured:
        yield _snapshots(configured["save"], around.settings)
    else:
        yield _snapshots_not_known(refused, around.settings)


def _snapshots(times: str, settings: Settings) -> Check:
    if times:
        text = f"what Redis has outlives a restart, but for the last minutes: snapshots ({times})"
        return Check(_AREA, "persistence", Verdict.WELL, text, value="snapshots")
    return Check(
        _AREA,
        "persistence",
        Verdict.NOTE,
        "a restart of Redis forgets everything",
        command(settings, "CONFIG", "SET", "appendonly", "yes"),
        "No task is lost: the database has them, and workers are woken again. Paused queues run again, and the list of"
        " rejected jobs is empty.",
        value="none",
    )


def _snapshots_not_known(refused: exceptions.ResponseError | None, settings: Settings) -> Check:
    """Return the check where the configuration cannot be read; some services do not have the command at all."""
    grants = isinstance(refused, exceptions.NoPermissionError)
    why = refused or "CONFIG GET does not name the times of snapshots"
    return Check(
        _AREA,
        "persistence",
        Verdict.SKIPPED,
        f"whether anything outlives a restart of Redis is not known: there is no append-only file, and {why}",
        grant(settings, "+config|get") if grants else None,
        "This right also shows passwords of the server: without it, ask who runs the server."
        if grants
        else None,
    )


def _saving(
    info: Mapping[str, Any], configured: Mapping[str, str], settings: Settings, *, refuses: bool
) -> Check:
    folder = configured.get("dir", "its folder")
    if info.get("rdb_last_bgsave_status") == "err":
        what = (
            "it refuses all writes until one succeeds"
            if refuses
            else "what it has would not outlive a restart"
        )
        return Check(
            _AREA,
            "saving",
            Verdict.FAULT if refuses else Verdict.WARNING,
            f"the last save to the disk has failed: {what}",
            command(settings, "BGSAVE"),
            f"Make room in {folder}, or give Redis the right to write there, before; Redis's log says why it failed.",
        )
    if "err" in {info.get("aof_last_write_status"), info.get("aof_last_bgrewrite_status")}:
        return Check(
            _AREA,
            "saving",
            Verdict.FAULT,
            "Redis cannot write its append-only file",
            command(settings, "BGREWRITEAOF"),
            f"Make room in {folder} before; Redis's log says why it failed.",
        )
    return Check(_AREA, "saving", Verdict.WELL, "the last save to the disk has succeeded")


def _configured(client: redis.Redis) -> tuple[Mapping[str, str], exceptions.ResponseError | None]:
    """Return some of the server's configuration, and why there is none: the account may not read it, as is usual."""
    try:
        found: Any = client.config_get("save", "dir")
    except exceptions.ResponseError as error:
        return {}, error
    return {_text(name): _text(value) for name, value in found.items()}, None


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
