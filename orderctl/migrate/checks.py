"""Let the database judge whether a shop's check constraints allow what orderctl writes.

A constraint's condition is not parsed: it is evaluated over rows that are made up of a row of the shop's, or of
examples, and of what orderctl writes (``migrate.writes``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from orderctl import shape, words
from orderctl.migrate import fitting
from orderctl.migrate.catalogue import Catalogue, Check, ForeignKey, Table
from orderctl.migrate.ddl import quoted
from orderctl.migrate.writes import NOW, WAITING, WRITES, Row, updated

#: How far back to look for a row that waits: the tables have no index for it yet.
_NEWEST: Final = 10_000
#: Number of the row without changes.
_UNCHANGED: Final = -1


def judge(connection: Connection, there: Catalogue) -> None:
    """Fill in what each check constraint of the shop's rejects.

    Args:
        connection: A connection to the database.
        there: What the database contains.
    """
    # Without seeking words in all rows: the indexes for that may be missing yet.
    shape.refresh(connection, shape.Wanted(sampled=words.WANTED.sampled))
    for name in WRITES.keys() & there.tables.keys():
        table = there.tables[name]
        if table.checks:
            judging = _Judging(connection, table, is_sqlite=there.server == "sqlite")
            table.checks = [judging.judge(check) for check in table.checks]
        table.foreign_keys = [_look_up(connection, table, key) for key in table.foreign_keys]


def _look_up(connection: Connection, table: Table, key: ForeignKey) -> ForeignKey:
    """Return a foreign key with the words of orderctl's that the shop's table of words lacks."""
    if (table.name, key.column) not in words.KNOWN or not key.target_column:
        return key
    wanted = dict.fromkeys(row.get(key.column) for row in WRITES[table.name][1])
    query = f"SELECT {quoted(key.target_column)} FROM {quoted(key.target)}"  # noqa: S608
    known = {str(value).casefold() for value in connection.exec_driver_sql(query).scalars()}
    return replace(key, lacks=tuple(str(word) for word in wanted if word is not None and word not in known))


class _Judging:
    """Judges the constraints of one table."""

    def __init__(self, connection: Connection, table: Table, *, is_sqlite: bool) -> None:
        self.connection = connection
        self.table = table
        self.is_sqlite = is_sqlite
        self.base, self.rows = WRITES[table.name]
        self.found = self._find_waiting() if self.base is not None else None

    def judge(self, check: Check) -> Check:
        """Return a constraint with the verdict on it."""
        named = [name for name in self.table.columns if check.mentions(name)]
        written = [name for name in named if self.base is None or name in updated(self.table.name)]
        if not written:
            return check
        try:
            tries = [set(self._evaluate(check, named, filled=filled)) for filled in self._samples]
        except DBAPIError as error:
            return replace(check, doubt=f"the database cannot evaluate it ({error.orig})")
        always = set.intersection(*tries)
        if _UNCHANGED in always:  # a poor example; what a change itself sets is judged all the same
            always = {number for number in always if number >= 0 and self.rows[number].keys() >= set(named)}
            if not always:
                return replace(check, doubt="it rejects the examples that it was tried with")
        if always and not any(self.table.columns[name].generated for name in named):
            return replace(check, rejected=self._describe(always, written))
        if sometimes := set().union(*(numbers for numbers in tries if _UNCHANGED not in numbers)):
            return replace(check, doubt=f"it may reject {'; '.join(self._describe(sometimes, written))}")
        return check

    @property
    def _samples(self) -> tuple[bool, ...]:
        """With what to try a condition: with empty columns, and with filled ones if there is no real row."""
        return (False,) if self.base is None or self.found else (False, True)

    def _describe(self, numbers: Collection[int], written: list[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(_describe(self.rows[number], written) for number in sorted(numbers)))

    def _evaluate(self, check: Check, named: list[str], *, filled: bool) -> list[int]:
        """Return the numbers of the rows for which the condition is false."""
        columns = ", ".join(f"{self._of_base(name, filled=filled)} AS {quoted(name)}" for name in named)
        base = f"SELECT {columns}{self.found or ''}"
        rows = [(_UNCHANGED, {}), *enumerate(self.rows)] if self.base is not None else enumerate(self.rows)
        union = " UNION ALL ".join(self._select(number, row, named) for number, row in rows)
        statement = (
            f"WITH orderctl_base AS ({base}) SELECT orderctl_row FROM ({union}) AS {self.table.name}"  # noqa: S608
            f" WHERE NOT ({check.clause}) ORDER BY orderctl_row"
        )
        return list(self._query(statement))

    def _query(self, statement: str) -> Iterator[int]:
        # A condition may contain percent signs.
        return iter(
            self.connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
            .scalars()
            .all()
        )

    def _select(self, number: int, row: Row, named: list[str]) -> str:
        values = (self._literal(name, row[name]) if name in row else quoted(name) for name in named)
        columns = ", ".join(f"{value} AS {quoted(name)}" for value, name in zip(values, named, strict=True))
        return f"SELECT {number} AS orderctl_row, {columns} FROM orderctl_base"  # noqa: S608

    def _of_base(self, name: str, *, filled: bool) -> str:
        column = self.table.columns[name]
        if self.found:
            return quoted(column.name)
        if self.base is not None and self.base.get(name) is not None:
            return self._literal(name, self.base[name])
        if column.default is not None and column.default.upper() != "NULL":
            return column.default
        # On SQLite a type without a neutral value takes any.
        return fitting.neutral_default(column) or "1" if filled or column.required else "NULL"

    def _literal(self, name: str, value: object) -> str:
        column = self.table.columns[name]
        if value is None:
            return "NULL"
        if value is NOW:
            return "strftime('%Y-%m-%d %H:%M:%f', 'now')" if self.is_sqlite else "UTC_TIMESTAMP(6)"
        if isinstance(value, int):
            return str(value)
        text = f"'{self._spelled(name, str(value))}'"
        if column.word == "json":
            return f"CAST({text} AS JSON)"
        # The column's own collation decides what is equal.
        return (
            f"CONVERT({text} USING {column.charset}) COLLATE {column.collation}" if column.charset else text
        )

    def _spelled(self, name: str, value: str) -> str:
        if (self.table.name, name) not in words.KNOWN:
            return value
        return words.spell(self.connection.dialect, self.table.name, name, value).replace("'", "''")

    def _find_waiting(self) -> str | None:
        """Return the end of a query for the newest row of the shop's that waits; None if there is none."""
        waiting = WAITING[self.table.name]
        if not waiting.keys() <= self.table.columns.keys() or "id" not in self.table.columns:
            return None
        name = self.table.name
        conditions = [f"id > (SELECT MAX(id) FROM {name}) - {_NEWEST}"]  # noqa: S608 - names of ours
        for column, statuses in waiting.items():
            listed = ", ".join(f"'{status}'" for status in statuses)
            conditions.append(f"LOWER({column}) IN ({listed})")
        end = f" FROM {name} WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT 1"
        try:
            return end if list(self._query(f"SELECT 1{end}")) else None
        except DBAPIError:  # ids that are not numbers: an obstacle of their own
            return None


def _describe(row: Row, written: list[str]) -> str:
    values = {name: row[name] for name in written if name in row}
    words = {None: "NULL", NOW: "now"}
    return ", ".join(f"{name} = {words.get(value, value)}" for name, value in values.items())
