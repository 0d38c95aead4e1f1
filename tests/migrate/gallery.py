"""Databases as shops have them: load one from the gallery, and compare it with its state before."""

import re
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine

from orderctl import migrate

GALLERY = Path(__file__).with_name("gallery")
#: The ids of all revisions, oldest first.
REVISIONS = tuple(revision.id for revision in migrate.history())
SHARED = ("orders", "download_tasks", "order_audit_logs")

Rows = dict[str, list[tuple[object, ...]]]


@dataclass(frozen=True)
class Style:
    """One database of the gallery.

    Attributes:
        name: Name of its file.
        kinds: The servers that it supports.
        before: The statements that create and fill it.
        afterwards: Statements of the shop's own system after the migration.
        order: Statements that insert a new order, DH000008 of 250000 with the courses /8 and /9.
    """

    name: str
    kinds: tuple[str, ...]
    before: tuple[str, ...]
    afterwards: tuple[str, ...]
    order: tuple[str, ...]

    def load(self, engine: Engine) -> None:
        run(engine, self.before)

    def go_on(self, engine: Engine) -> None:
        run(engine, self.afterwards)

    def take_order(self, engine: Engine, courses: str) -> None:
        """Let the shop insert an order of courses at this address."""
        run(engine, [statement.replace("https://courses.example.com", courses) for statement in self.order])


def read(path: Path) -> Style:
    text = path.read_text(encoding="utf-8")
    kinds = tuple(re.findall(r"^-- on: (.*)$", text, re.MULTILINE)[0].split())
    parts = (_statements(part) for part in re.split(r"^-- (?:afterwards|order)$", text, flags=re.MULTILINE))
    return Style(path.stem, kinds, *parts)


def _statements(text: str) -> tuple[str, ...]:
    code = re.sub(r"^--.*\n", "", text, flags=re.MULTILINE)
    return tuple(statement.strip() for statement in re.split(r";\s*\n", code) if statement.strip())


STYLES = {path.stem: read(path) for path in sorted(GALLERY.glob("*.sql"))}


def run(engine: Engine, statements: tuple[str, ...] | list[str]) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


#: The indexes that revisions 0006 and 0008 bring and those in whose place they come, by table.
NEW_INDEXES = {
    "orders": ("payment_status order_status created_at id", "user_email created_at id"),
    "download_tasks": ("ready available_at id", "status id", "status error_type error_fingerprint"),
    "order_audit_logs": ("actor created_at id", "event_type created_at id"),  # revision 0008
}
OLD_INDEXES = {
    "orders": ("payment_status order_status", "user_email id"),
    "download_tasks": ("status updated_at id",),
    "order_audit_logs": (),
}


def index_name(table: str, names: str) -> str:
    """Return the name of an index of orderctl's."""
    return f"ix_orderctl_{table}_{names.replace(' ', '_')}"


def undo_scale(engine: Engine) -> None:
    """Leave a migrated database as revision 0005 did."""
    on_sqlite = engine.dialect.name == "sqlite"
    for table, olds in OLD_INDEXES.items():
        on = "" if on_sqlite else f" ON {table}"
        for names in olds:
            listed = names.replace(" ", ", ")
            run(engine, [f"CREATE INDEX {index_name(table, names)} ON {table} ({listed})"])
    for table, news in NEW_INDEXES.items():
        on = "" if on_sqlite else f" ON {table}"
        run(engine, [f"DROP INDEX {index_name(table, names)}{on}" for names in news])
    run(
        engine,
        [
            "ALTER TABLE download_tasks DROP COLUMN ready",
            *(f"DROP TABLE orderctl_audit_{name}" for name in ("hours", "counts")),
            *(f"DROP TABLE orderctl_{name}" for name in ("operations", "operation_tasks")),
            "DELETE FROM orderctl_migrations WHERE revision >= '0006'",
            "UPDATE orderctl_version SET version_num = '0005'",
        ],
    )


def columns(connection: Connection, table: str) -> list[str]:
    if connection.dialect.name == "sqlite":
        return [row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({table})")]
    statement = (
        "SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE()"
        f" AND table_name = '{table}' ORDER BY ordinal_position"
    )
    return list(connection.exec_driver_sql(statement).scalars())


def shape(engine: Engine) -> dict[str, list[str]]:
    """Return the columns of the shared tables that exist."""
    with engine.connect() as connection:
        found = {table: columns(connection, table) for table in SHARED}
        return {table: names for table, names in found.items() if names}


def rows(engine: Engine, wanted: dict[str, list[str]]) -> Rows:
    """Return every row, byte by byte."""
    as_bytes = "quote({})" if engine.dialect.name == "sqlite" else "HEX({})"
    found: Rows = {}
    with engine.connect() as connection:
        for table, names in wanted.items():
            expressions = ", ".join(as_bytes.format(name) for name in names)
            statement = f"SELECT {expressions} FROM {table} ORDER BY id"
            found[table] = [tuple(row) for row in connection.exec_driver_sql(statement)]
    return found


def definitions(engine: Engine) -> dict[str, str]:
    """Return every definition in the database, as the server prints it."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
            return {name: " ".join(text.split()) for name, text in connection.exec_driver_sql(query)}
    found = {}
    with engine.connect() as connection:
        for name, kind in connection.exec_driver_sql("SHOW FULL TABLES").all():
            word = "VIEW" if kind == "VIEW" else "TABLE"
            text = connection.exec_driver_sql(f"SHOW CREATE {word} `{name}`").one()[1]
            found[name] = re.sub(r" AUTO_INCREMENT=\d+", "", text)
        query = "SELECT routine_name FROM information_schema.routines WHERE routine_schema = DATABASE()"
        for name in connection.exec_driver_sql(query).scalars().all():
            found[name] = connection.exec_driver_sql(f"SHOW CREATE PROCEDURE `{name}`").one()[2]
    return found


def column_definitions(text: str) -> dict[str, str]:
    """Return the columns of a ``SHOW CREATE TABLE``."""
    return dict(re.findall(r"^\s+`(\w+)` (.*?),?$", text, re.MULTILINE))
