"""Write a shop fast: into tables without secondary indexes, which are built when all rows are there.

Foreign keys are not checked; the tables end with the same definitions as before, which is checked.
"""

import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pymysql
from sqlalchemy import Engine, insert, select

from bench.queries.shop import CHUNK, MYSQL, SQLITE, Shop
from orderctl.migrate import ledger
from orderctl.payments.transfer import AUDIT_LOG
from orderctl.schema import order_audit_logs, payments

TABLES = ("orders", "download_tasks", "order_audit_logs", "orderctl_outbox", "orderctl_payments")
#: As many as the machine has cores.
_CONNECTIONS = 2
_SESSION = (
    "SET SESSION foreign_key_checks = 0",
    "SET SESSION unique_checks = 0",
    # Joined in the order in which they are written, so that each table's rows come in the order of their ids.
    "SET SESSION sql_mode = CONCAT(@@sql_mode, ',PIPES_AS_CONCAT')",
)
_OF_MYSQL = ("SET SESSION optimizer_switch = 'block_nested_loop=off'",)
_OF_MARIADB = ("SET SESSION join_cache_level = 0", "SET SESSION check_constraint_checks = 0")


def into_server(engine: Engine, count: int, *, in_use: bool = False) -> None:
    """Write a shop into a database of MySQL or MariaDB; with ``in_use`` with all indexes in place."""
    with _session(engine) as cursor:
        before = {} if in_use else {table: _definition(cursor, table) for table in TABLES}
        for table, definition in before.items():
            _run(cursor, _alter(table, _removals(definition)))
        _in_threads(engine, Shop(count, MYSQL))
        _run(cursor, Shop(count, MYSQL).ending())
        for table, definition in before.items():
            _run(cursor, _alter(table, _additions(definition)))
        for table, definition in before.items():
            assert sorted(_definition(cursor, table)) == sorted(definition), f"{table} is not as it was"
        _run(cursor, [f"ANALYZE TABLE {', '.join(TABLES)}"])


def note_payments(engine: Engine) -> None:
    """Let the ledger know of the last payment by the audit log, as in a shop that began with an earlier version.

    Otherwise each ``migrate up`` would walk the whole log for payments that the ledger lacks.
    """
    log = order_audit_logs.c
    query = select(log.id, log.order_id, log.created_at, ledger._WRITTEN)  # noqa: SLF001
    with engine.begin() as connection:
        last = connection.execute(
            query.where(log.event_type == "payment_received").order_by(log.id.desc()).limit(1)
        ).one()
        values = {"provider_id": ledger._key(last.id, last.written), "told_at": last.created_at}  # noqa: SLF001
        values |= {"order_id": last.order_id, "amount": 300_000, "direction": "in", "outcome": "paid"}
        connection.execute(insert(payments).values(provider=AUDIT_LOG, **values))


@contextmanager
def _session(engine: Engine) -> Iterator[Any]:
    url = engine.url
    connection = pymysql.connect(
        host=url.host, port=url.port, user=url.username, database=url.database, autocommit=True
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT VERSION()")
        of_server = _OF_MARIADB if "MariaDB" in cursor.fetchone()[0] else _OF_MYSQL
        _run(cursor, (*_SESSION, *of_server))
        yield cursor


def _run(cursor: Any, statements: Iterable[str]) -> None:
    for statement in statements:
        cursor.execute(statement)


def _in_threads(engine: Engine, shop: Shop) -> None:
    """Write the chunks in turns, so that ids and times rise together."""
    begins = iter(range(1, shop.count + 1, CHUNK))
    lock, errors = threading.Lock(), []

    def write() -> None:
        try:
            with _session(engine) as cursor:
                while not errors:
                    with lock:
                        begin = next(begins, None)
                    if begin is None:
                        return
                    _run(cursor, shop.chunk(begin))
        except Exception as error:  # noqa: BLE001 - raised below
            errors.append(error)

    threads = [threading.Thread(target=write) for _ in range(_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _definition(cursor: Any, table: str) -> list[str]:
    """Return the lines that define a table's columns, indexes and foreign keys."""
    cursor.execute(f"SHOW CREATE TABLE {table}")
    return [line.strip().rstrip(",") for line in cursor.fetchone()[1].splitlines()[1:-1]]


def _removals(definition: list[str]) -> list[list[str]]:
    keys = [re.match(r"(CONSTRAINT|UNIQUE KEY|KEY) `(\w+)`", line) for line in definition]
    found = [(key[1], key[2], key.string) for key in keys if key]
    foreign = [f"DROP FOREIGN KEY {name}" for kind, name, line in found if "FOREIGN KEY" in line]
    return [foreign, [f"DROP INDEX {name}" for kind, name, _ in found if kind != "CONSTRAINT"]]


def _additions(definition: list[str]) -> list[list[str]]:
    indexes = [f"ADD {line}" for line in definition if re.match("(UNIQUE )?KEY ", line)]
    foreign = [f"ADD {line}" for line in definition if re.match("CONSTRAINT .* FOREIGN KEY", line)]
    return [indexes, foreign]


def _alter(table: str, changes: list[list[str]]) -> list[str]:
    return [f"ALTER TABLE {table} {', '.join(some)}" for some in changes if some]


def into_file(path: str, count: int, *, in_use: bool = False) -> None:
    """Write a shop into a file of SQLite; with ``in_use`` with all indexes in place."""
    connection = sqlite3.connect(path, isolation_level=None)
    shop = Shop(count, SQLITE)
    found: list[tuple[str, str]] = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        f" AND tbl_name IN {TABLES}"
    ).fetchall()
    indexes = {} if in_use else dict(found)
    journal = connection.execute("PRAGMA journal_mode").fetchone()[0]
    for words in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -500000", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {words}")
    for name in indexes:
        connection.execute(f"DROP INDEX {name}")
    connection.execute("BEGIN")
    for begin in range(1, count + 1, CHUNK):
        for statement in shop.chunk(begin):
            connection.execute(statement)
    for statement in (*shop.ending(), *indexes.values()):
        connection.execute(statement)
    connection.execute("COMMIT")
    connection.execute("ANALYZE")
    connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.close()
