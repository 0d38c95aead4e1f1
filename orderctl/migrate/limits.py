"""What InnoDB allows for one table: columns, indexes, the length of a row and of an index."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from orderctl.migrate.catalogue import ReflectedColumn, Table

_COLUMNS: Final = 1017
_INDEXES: Final = 64  # with the primary key
_ROW: Final = 65_535
#: Bytes of a row in a page of 16 KiB, of which one must hold two rows.
_IN_PAGE: Final = 8_126
#: Bytes of an index on one column, by row format.
_SHORT_KEY: Final = 767
_LONG_KEY: Final = 3_072
#: Bytes of an index that numbers and times beside its texts need.
_BESIDE: Final = 32
_SHORT_FORMATS: Final = frozenset({"Compact", "Redundant"})
#: Bytes that stay in the page of a text that is stored outside of it.
_POINTER: Final = 40
_PREFIX: Final = 788
#: How many characters of a long text are indexed.
_PREFIX_CHARACTERS: Final = 64
#: Texts up to this length are never stored outside of the page.
_SHORT_TEXT: Final = 255
_BYTES: Final = {
    "tinyint": 1,
    "smallint": 2,
    "mediumint": 3,
    "int": 4,
    "bigint": 8,
    "datetime": 8,
    "timestamp": 7,
}
_LONG_TYPES: Final = re.compile(r"(tiny|medium|long)?(text|blob)|json|geometry|point|vector")


def exceeded(table: Table) -> Iterator[str]:
    """Yield the limits that a table would exceed.

    Args:
        table: The table as it would be with orderctl's columns and indexes.
    """
    name = table.name
    columns = [column for column in table.columns.values() if not column.virtual]
    if len(columns) > _COLUMNS:
        yield f"table {name} would have {len(columns)} columns with orderctl's, but InnoDB allows {_COLUMNS}"
    if len(table.indexes) > _INDEXES:
        yield (
            f"table {name} would have {len(table.indexes)} indexes with orderctl's, but InnoDB allows {_INDEXES}:"
            " drop those that are not used"
        )
    if (length := sum(map(_in_row, columns))) > _ROW:
        yield (
            f"a row of table {name} could have {length} bytes with orderctl's columns, but the server allows"
            f" {_ROW}: make long VARCHAR columns TEXT"
        )
    long = _PREFIX if table.row_format in _SHORT_FORMATS else _POINTER
    if (length := sum(_in_page(column, long) for column in columns)) > _IN_PAGE:
        yield (
            f"a row of table {name} could need {length} bytes of a page with orderctl's columns, but InnoDB"
            f" allows {_IN_PAGE}: ALTER TABLE {name} ROW_FORMAT=DYNAMIC, or make VARCHAR columns TEXT"
        )


def prefix(column: ReflectedColumn, table: Table) -> int | None:
    """Return how many characters of a column an index can have; None if it can have all."""
    longest = _SHORT_KEY if table.row_format in _SHORT_FORMATS else (_LONG_KEY - _BESIDE) // 2
    if column.octets is None or (column.octets <= longest and not _LONG_TYPES.match(column.type)):
        return None
    return min(_PREFIX_CHARACTERS, column.octets // 4)


def _in_row(column: ReflectedColumn) -> int:
    if _LONG_TYPES.match(column.type):
        return 12
    octets = _octets(column)
    return octets + (2 if octets > _SHORT_TEXT else 1) if octets else _BYTES.get(column.word, 8)


def _in_page(column: ReflectedColumn, long: int) -> int:
    if _LONG_TYPES.match(column.type):
        return long + 1
    octets = _octets(column)
    if not octets:
        return _BYTES.get(column.word, 8)
    return min(octets, long) + 2 if octets > _SHORT_TEXT else octets + 1


def _octets(column: ReflectedColumn) -> int:
    """Return the longest length of a short text in bytes; 0 for other types."""
    if column.octets is not None and column.word not in {"enum", "set"}:
        return column.octets
    length = re.match(r"(?:var)?(?:char|binary)\((\d+)\)", column.type)
    return int(length.group(1)) * (1 if "binary" in column.type else 4) if length else 0
