"""Rows that other programs may have written: odd values in each column of the three shared tables."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, text

#: Text: NULL, empty, bytes that are no text, NUL, controls, formulas, very long.
_TEXTS = (None, "", b"\xff\xfe latin1 \xe9", "=a\x00b \x1b[2J\n\t\u202e", "x" * 200)
_TIMES = (None, "0000-00-00", "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999")
_NUMBERS = (None, -1, 0, 2**31 - 1)
_AMOUNTS = (None, "-5", "0.123456", "99999999999999.995")
_DOCUMENTS = (
    None,
    b"\xff\xfe",
    "",
    "not JSON",
    "null",
    "[]",
    "7",
    '"text"',
    "true",
    "[" * 5_000,
    "[" * 5_000 + "]" * 5_000,
    "[" * 950 + "]" * 950,
    '{"a":' * 2_000 + "1" + "}" * 2_000,
    '{"transactionId": 1e400, "amount": NaN, "bank": -Infinity}',
    '{"transactionId": ' + "9" * 5000 + ', "error_message": {"deep": [1e999]}}',
    '{"a": "\\ud800", "b": "\\u0000", "a": 1}',
    '{"fingerprint": ["f"], "error_type": 7}',
)
#: SQLite stores any value in any column.
_LOOSE: Mapping[str, tuple[Any, ...]] = {
    "text": (7, b"\xed\xa0\x80"),
    "time": (
        "2026-00-10",
        "2026-11-29 10:00:00+07:00",
        "2026-11-29T10:00:00Z",
        "2026-11-29 10:00:00.000 +00:00",
        *("yesterday", 7, 1e300, "", b"\xff", "0001-01-01 00:00:00+14:00", "9" * 5000),
    ),
    "number": ("abc", 1.5, b"\xff", "", 2**63 - 1, 1e300),
    "amount": (
        "abc",
        1e300,
        "1e999999",
        "1e99999999999999999999",
        "NaN",
        "Infinity",
        b"\xff",
        "9" * 5000,
        "",
    ),
    "document": (7, 1.5, 1e308 * 10, b"{}", b"[1"),
}
#: MySQL and MariaDB, without strict mode.
_SERVER: Mapping[str, tuple[Any, ...]] = {"time": ("2026-00-10", "0000-00-00 00:00:00")}
_STRICT = {"text": _TEXTS, "time": _TIMES, "number": _NUMBERS, "amount": _AMOUNTS, "document": _DOCUMENTS}

COLUMNS: Mapping[str, Mapping[str, str]] = {
    "orders": {
        "order_code": "text", "user_email": "text", "order_status": "text", "payment_status": "text",
        "total_amount": "amount", "created_at": "time", "paid_at": "time", "completed_at": "time",
        "round": "number",
    },
    "download_tasks": {
        "order_id": "id", "course_url": "text", "title": "text", "status": "text", "drive_link": "text",
        "error_log": "text", "created_at": "time", "updated_at": "time", "managed": "number",
        "attempt": "number", "max_attempts": "number", "available_at": "time", "lease_token": "text",
        "lease_until": "time", "worker": "text", "error_type": "text", "error_fingerprint": "text",
        "failing_since": "time",
    },
    "order_audit_logs": {
        "order_id": "id", "task_id": "id", "event_type": "text", "event_category": "text",
        "severity": "text", "message": "text", "details": "document", "previous_status": "text",
        "new_status": "text", "source": "text", "created_at": "time", "actor": "text",
    },
}  # fmt: skip
#: Ids that name no row. Those of the tasks and events that have another odd value are right.
_IDS = (None, 999_999)
_SERVER_TYPES = {
    "text": "VARBINARY(255)", "time": "DATETIME(6)", "number": "INT", "amount": "DECIMAL(30,6)",
    "document": "LONGBLOB", "id": "BIGINT",
}  # fmt: skip
#: The order that has all odd tasks and events.
CROWDED = 1
_GOOD = {
    "orders": {
        "user_email": "a@example.com", "order_status": "processing", "payment_status": "paid",
        "total_amount": "300000.00", "created_at": "2026-01-01 10:00:00.000000", "round": 0,
    },
    "download_tasks": {
        "order_id": CROWDED, "course_url": "https://courses.example/a", "title": "A", "status": "failed",
        "created_at": "2026-01-01 10:00:00.000000", "managed": 1, "attempt": 1, "max_attempts": 3,
        "error_type": "NETWORK", "error_fingerprint": "f",
    },
    "order_audit_logs": {
        "order_id": CROWDED, "event_type": "payment_received", "event_category": "payment",
        "severity": "error", "message": "m", "created_at": "2026-01-01 10:00:00.000000",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Odd:
    """The ids of the odd rows, each with what is odd about it."""

    orders: dict[int, str]
    tasks: dict[int, str]


def fill(engine: Engine) -> Odd:
    """Loosen the columns as far as the database lets the shop do it, and write a row for each odd value."""
    on_sqlite = engine.dialect.name == "sqlite"
    shop = create_engine(engine.url)  # SQLite checks no foreign keys by default
    with shop.begin() as connection:
        if not on_sqlite:
            connection.exec_driver_sql("SET SESSION sql_mode = '', foreign_key_checks = 0")
        (_loosen_sqlite if on_sqlite else _loosen_server)(connection)
        orders = dict(_orders(connection, on_sqlite=on_sqlite))
        tasks = dict(_write(connection, "download_tasks", itertools.count(1), on_sqlite=on_sqlite))
        dict(_write(connection, "order_audit_logs", itertools.count(1), on_sqlite=on_sqlite))
    shop.dispose()
    engine.dispose()
    return Odd(orders, tasks)


def _orders(connection: Connection, *, on_sqlite: bool) -> Iterator[tuple[int, str]]:
    _insert(connection, "orders", {**_GOOD["orders"], "id": CROWDED, "order_code": "CROWDED"})
    yield CROWDED, "odd tasks and events"
    yield from _write(connection, "orders", itertools.count(CROWDED + 1), on_sqlite=on_sqlite)


def _write(
    connection: Connection, table: str, ids: Iterator[int], *, on_sqlite: bool
) -> Iterator[tuple[int, str]]:
    further = _LOOSE if on_sqlite else _SERVER
    for column, kind in COLUMNS[table].items():
        for value in _IDS if kind == "id" else (*_STRICT[kind], *further.get(kind, ())):
            row_id = next(ids)
            good = {**_GOOD[table], "id": row_id}
            if table == "orders":
                good["order_code"] = f"DH{row_id}"
            _insert(connection, table, {**good, column: value})
            yield row_id, f"{column} {value!r:.60}"


def _insert(connection: Connection, table: str, values: Mapping[str, Any]) -> None:
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({marks})"), dict(values))


def _loosen_sqlite(connection: Connection) -> None:
    tables = ", ".join(f"'{table}'" for table in COLUMNS)
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.exec_driver_sql(
        f"UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE type = 'table' AND name IN ({tables})"
    )
    connection.exec_driver_sql("PRAGMA writable_schema = RESET")


def _loosen_server(connection: Connection) -> None:
    for table, columns in COLUMNS.items():
        changes = ", ".join(f"MODIFY {name} {_SERVER_TYPES[kind]} NULL" for name, kind in columns.items())
        connection.exec_driver_sql(f"ALTER TABLE {table} {changes}")
