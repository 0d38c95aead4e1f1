"""The checks of the database's server: its version, its clock, whether it accepts writes, and settings of the server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, select

from orderctl import clock, database
from orderctl.doctor import measures
from orderctl.doctor.checks import Area, Check, Verdict
from orderctl.doctor.surroundings import Surroundings
from orderctl.errors import ExitStatus
from orderctl.health.signs import Role

#: The oldest versions that orderctl works with.
_OLDEST: Final = {"MySQL": (8, 0), "MariaDB": (10, 6), "SQLite": (3, 35)}
#: Differences of clocks in seconds: times that people compare are wrong; signatures and tokens are refused (they are
#: valid for some minutes).
_SKEW: Final = 1.0
_WRONG: Final = 60.0
#: Bytes: with less, a long error message or a page of tasks may not reach the server.
_PACKET: Final = 1024 * 1024
#: Share of its connections from which on a server is nearly full.
_FULL: Final = 0.8
_VARIABLES: Final = (
    "sql_mode", "max_allowed_packet", "binlog_format", "log_bin", "lower_case_table_names", "max_connections",
    "innodb_flush_log_at_trx_commit",
)  # fmt: skip


def examine(around: Surroundings) -> Iterator[Check]:
    """Yield the checks of what every kind of database has."""
    sign = around.database.sign
    if sign is not None and sign.product is not None and sign.version is not None:
        yield judge_version(sign.product, sign.version)
    if around.engine.dialect.name == "sqlite":
        return
    yield judge_role(sign.role if sign is not None else None)
    with around.reading() as connection:
        yield clock_skew(_skew(connection))


def settings(around: Surroundings) -> Iterator[Check]:
    """Yield the checks of the settings of MySQL or MariaDB."""
    if around.engine.dialect.name == "sqlite":
        return
    with around.reading() as connection:
        names = ", ".join(f"'{name}'" for name in _VARIABLES)
        query = f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})"
        values = {name.lower(): str(value) for name, value in connection.exec_driver_sql(query)}
        used = connection.exec_driver_sql("SHOW GLOBAL STATUS LIKE 'Threads_connected'").one()[1]
    yield from judge(values, int(used))


def judge(values: Mapping[str, str], connections: int) -> Iterator[Check]:
    """Yield the checks of the values of a server's settings.

    Args:
        values: The global variables by name.
        connections: How many connections there are now.
    """
    yield _sql_mode(values.get("sql_mode", ""))
    yield _packet(int(values.get("max_allowed_packet", _PACKET)))
    yield _binary_log(values)
    yield _connections(connections, int(values.get("max_connections", 0)))
    yield _flush(values.get("innodb_flush_log_at_trx_commit", "1"))
    case = values.get("lower_case_table_names", "0")
    text = f"lower_case_table_names is {case}: orders and Orders are {'two tables' if case == '0' else 'the same table'}"
    yield _check("lower-case-table-names", Verdict.WELL, text, value=case)


def _check(
    name: str,
    verdict: Verdict,
    text: str,
    repair: str | None = None,
    explanation: str | None = None,
    *,
    value: float | str | None = None,
    unit: str | None = None,
    status: ExitStatus = ExitStatus.FAILED,
) -> Check:
    return Check(Area.DATABASE, name, verdict, text, repair, explanation, value, unit, status)


def judge_version(product: str, version: str) -> Check:
    """Return the check of the version of a server."""
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    oldest = _OLDEST.get(product, (0, 0))
    if numbers >= oldest:
        return _check("version", Verdict.WELL, f"{product} {version}", value=version)
    wanted = ".".join(map(str, oldest))
    return _check(
        "version",
        Verdict.FAULT,
        f"{product} {version} is older than {wanted}, the oldest version that orderctl works with",
        explanation=f"Install {product} {wanted} or newer; docs/adopting.md.",
        value=version,
        status=ExitStatus.CONFIGURATION,
    )


def judge_role(role: Role | None) -> Check:
    """Return the check whether a server of this role accepts writes."""
    if role in {None, Role.PRIMARY}:
        return _check("writable", Verdict.WELL, "the server accepts writes")
    what = "a replica, which does not accept writes" if role is Role.REPLICA else "read-only"
    return _check(
        "writable",
        Verdict.FAULT,
        f"the server is {what}",
        "orderctl config show" if role is Role.REPLICA else "SET GLOBAL read_only = OFF",
        "It was demoted, or an administrator works on it. Let database.url lead to the primary (several hosts, or a"
        " proxy); if this is the primary, let it accept writes.",
        value=str(role),
        status=ExitStatus.UNAVAILABLE,
    )


def _skew(connection: Connection) -> float:
    """Return by how many seconds the database's clock is ahead of this machine's."""
    best: tuple[float, float] | None = None
    for _ in range(3):  # the quickest answer says most
        began, before = clock.elapsed(), datetime.now(UTC)
        theirs = connection.execute(select(database.utc_now())).scalar_one()
        took = clock.elapsed() - began
        ahead = (theirs - before).total_seconds() - took / 2
        best = min((took, ahead), best or (took, ahead))
    return best[1] if best is not None else 0.0


def clock_skew(seconds: float, *, area: Area = Area.DATABASE, name: str = "the database") -> Check:
    """Return the check of two clocks.

    Args:
        seconds: By how much the other clock is ahead of this machine's; negative: behind.
        area: The area of the check.
        name: Whose clock it is.
    """
    size = abs(seconds)
    verdict = Verdict.WELL if size < _SKEW else Verdict.WARNING if size < _WRONG else Verdict.FAULT
    ahead = "ahead of" if seconds > 0 else "behind"
    text = f"the clock of {name} is {measures.time(size)} {ahead} this machine's"
    if verdict is Verdict.WELL:
        return Check(area, "clock-skew", verdict, text, value=round(seconds, 3), unit="s")
    return Check(
        area,
        "clock-skew",
        verdict,
        text,
        "timedatectl set-ntp true",
        "On the machine whose clock is wrong. Leases go by the database's clock; tokens, the signatures of webhooks and"
        " the times of live messages go by this machine's, and receivers refuse what is some minutes off.",
        value=round(seconds, 3),
        unit="s",
    )


def _sql_mode(mode: str) -> Check:
    if "STRICT" in mode:
        return _check("sql-mode", Verdict.WELL, "the server's sql_mode is strict", value=mode)
    return _check(
        "sql-mode",
        Verdict.WARNING,
        f"the server's sql_mode is not strict: {mode or '(empty)'}",
        "SET GLOBAL sql_mode = CONCAT(@@GLOBAL.sql_mode, ',STRICT_TRANS_TABLES')",
        "orderctl's sessions set a strict one. The shop's do not: a value that is too long or too large is cut in"
        " silence, and an unknown status becomes empty. To keep it, set it in the server's configuration, too.",
        value=mode,
    )


def _packet(size: int) -> Check:
    well = size >= _PACKET
    return _check(
        "max-allowed-packet",
        Verdict.WELL if well else Verdict.FAULT,
        f"max_allowed_packet is {size:,} bytes" + ("" if well else ": longer statements fail"),
        None if well else f"SET GLOBAL max_allowed_packet = {16 * _PACKET}",
        None if well else "To keep it, set it in the server's configuration, too.",
        value=size,
        unit="bytes",
    )


def _binary_log(values: Mapping[str, str]) -> Check:
    form = values.get("binlog_format", "ROW")
    if values.get("log_bin") != "ON" or form != "STATEMENT":
        return _check("binlog-format", Verdict.WELL, f"binlog_format is {form}", value=form)
    return _check(
        "binlog-format",
        Verdict.FAULT,
        "binlog_format is STATEMENT, with which orderctl cannot write",
        "SET GLOBAL binlog_format = ROW",
        "It holds for new connections: restart the workers and the relay. To keep it, set it in the server's"
        " configuration, too.",
        value=form,
    )


def _connections(used: int, most: int) -> Check:
    full = most > 0 and used > most * _FULL
    return _check(
        "connections",
        Verdict.WARNING if full else Verdict.WELL,
        f"{used:,} of {most:,} connections are in use",
        f"SET GLOBAL max_connections = {most * 2}" if full else None,
        "Further ones are refused. Each worker has one, the relay up to database.pool_size."
        if full
        else None,
        value=used,
    )


def _flush(value: str) -> Check:
    if value == "1":
        return _check("durability", Verdict.WELL, "a commit is on the disk when it is confirmed", value=value)
    return _check(
        "durability",
        Verdict.WARNING,
        f"innodb_flush_log_at_trx_commit is {value}: a crash of the machine loses the last second of commits",
        "SET GLOBAL innodb_flush_log_at_trx_commit = 1",
        "A payment may be lost that was confirmed to the bank. To keep it, set it in the server's configuration,"
        " too.",
        value=value,
    )
