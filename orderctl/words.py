"""The words in the columns of statuses, categories and severities, whatever case the shop writes them in.

A word is folded once, when it is read: ``PAID`` becomes ``paid``. What orderctl writes is spelled like the shop's:
like the ENUM's value, or else like what stands in the newest rows. A comparison finds every spelling.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Boolean, Dialect, String, TypeDecorator, false, type_coerce
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import operators
from sqlalchemy.sql.expression import ColumnElement, FunctionElement
from sqlalchemy.sql.visitors import InternalTraversal

from orderctl import foreign, shape
from orderctl.states import Category, EventType, OrderStatus, PaymentStatus, Severity, TaskStatus

_STATUSES: Final = tuple(dict.fromkeys(map(str, (*OrderStatus, *PaymentStatus, *TaskStatus))))
#: The words that orderctl knows, by table and column.
KNOWN: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("orders", "order_status"): tuple(map(str, OrderStatus)),
    ("orders", "payment_status"): tuple(map(str, PaymentStatus)),
    ("download_tasks", "status"): tuple(map(str, TaskStatus)),
    ("order_audit_logs", "event_type"): tuple(map(str, EventType)),
    ("order_audit_logs", "event_category"): tuple(map(str, Category)),
    ("order_audit_logs", "severity"): tuple(map(str, Severity)),
    ("order_audit_logs", "previous_status"): _STATUSES,
    ("order_audit_logs", "new_status"): _STATUSES,
}


def _cases(word: str) -> tuple[str, ...]:
    """Return the usual spellings of a word."""
    return tuple(dict.fromkeys((word, word.lower(), word.upper(), word.capitalize())))


#: Columns with which an index begins. A query that walks it in order must not look for spellings that no row has.
_LEADING: Final = (
    ("orders", "payment_status"),
    ("download_tasks", "status"),
    ("order_audit_logs", "severity"),
)
#: What ``database`` finds out about the rows. Events are not sampled: most of them are orderctl's own.
WANTED: Final = shape.Wanted(
    sampled={"orders": ("order_status", "payment_status"), "download_tasks": ("status",)},
    sought={key: [case for word in KNOWN[key] for case in _cases(word) if case != word] for key in _LEADING},
)


def fold(value: str, known: Iterable[str], there: shape.Column | None = None) -> str:
    """Return the known word that a value spells; other values unchanged.

    What is folded here is what a comparison finds: a row that is shown as ``paid`` is among the paid ones.

    Args:
        value: A value in a row.
        known: Words in lower case.
        there: The column with the row.
    """
    bare = value.rstrip(" ") if there is not None and there.ignores_spaces else value
    folded = bare.casefold()
    anyhow = there is not None and (there.ignores_case or bool(there.words))
    return folded if folded in known and (anyhow or bare in _cases(folded)) else value


def is_known(dialect: Dialect, column: Any, value: str) -> bool:
    """Return whether a value in a row is a word that orderctl knows.

    Args:
        dialect: The dialect of the database's engine.
        column: A column with the type :class:`Word`.
        value: The value, as it stands in the row.
    """
    known = KNOWN[column.table.name, column.name]
    return fold(value, known, shape.of(dialect).column(column.table.name, column.name)) in known


def spell(dialect: Dialect, table: str, column: str, word: str) -> str:
    """Return a word as the shop spells it, to be written.

    Args:
        dialect: The dialect of the database's engine.
        table: The table.
        column: One of its columns in :data:`KNOWN`.
        word: A word that orderctl knows.
    """
    known = shape.of(dialect)
    key = ("spell", table, column, word)
    if key not in known.worked_out:
        known.worked_out[key] = _spell(known, table, column, word)
    return str(known.worked_out[key])


def _spell(known: shape.Shape, table: str, column: str, word: str) -> str:
    there = known.column(table, column)
    if there is not None and there.words:
        # The first one is the shop's: a migration appends.
        return next((value for value in there.words if fold(value, (word,), there) == word), word)
    found = Counter(known.seen.get((table, column), ()))  # few values, each in many rows
    words = KNOWN[table, column]
    seen = Counter({value: count for value, count in found.items() if fold(value, words, there) in words})
    same = [value for value, _ in seen.most_common() if fold(value, (word,), there) == word]
    return same[0] if same else _style(seen)(word)


def _style(seen: Mapping[str, int]) -> Any:
    styles: Counter[Any] = Counter()
    for value, count in seen.items():
        styles[str.upper if value.isupper() else str.capitalize if value.istitle() else str.lower] += count
    return styles.most_common(1)[0][0] if styles else str.lower


def spellings(dialect: Dialect, table: str, column: str, word: str) -> tuple[str, ...]:
    """Return the spellings of a word that rows may have, to be compared with; none if an ENUM lacks the word."""
    there = shape.of(dialect).column(table, column)
    if there is not None and there.words:  # any other word may find the rows with the empty value
        return tuple(value for value in there.words if value.casefold() == word.casefold())
    if there is not None and there.ignores_case:
        return (word,)
    if (table, column) in _LEADING and word in KNOWN[table, column]:
        return _written(dialect, table, column, word)
    return _cases(word)


def all_spellings(dialect: Dialect) -> Mapping[tuple[str, str, str], tuple[str, ...]]:
    """Return the spellings of all words that orderctl knows, by table, column and word.

    Args:
        dialect: The dialect of the database's engine.
    """
    return {
        (table, column, word): spellings(dialect, table, column, word)
        for (table, column), known in KNOWN.items()
        for word in known
    }


def usual(dialect: Dialect, table: str, column: str, word: str) -> tuple[str, ...]:
    """Return those :func:`spellings` of a word that orderctl writes, and that stand in the newest rows."""
    every = spellings(dialect, table, column, word)
    written = _written(dialect, table, column, word)
    return tuple(spelling for spelling in every if len(every) == 1 or spelling in written)


def _written(dialect: Dialect, table: str, column: str, word: str) -> tuple[str, ...]:
    there = shape.of(dialect).column(table, column)
    seen = dict.fromkeys(shape.of(dialect).seen.get((table, column), ()))
    same = (value for value in seen if fold(value, (word,), there) == word)
    return tuple(dict.fromkeys((word, spell(dialect, table, column, word), *same)))


class Word(TypeDecorator[str]):
    """A column of words: folded when it is read, spelled like the shop's when it is written or compared.

    Args:
        table: The table.
        column: One of its columns in :data:`KNOWN`.
        length: The number of characters.
        null: What NULL becomes.
    """

    impl = String
    cache_ok = True

    def __init__(self, table: str, column: str, length: int, null: str | None = None) -> None:
        super().__init__(length)
        self.null = null
        self.table = table
        self.column = column
        self.length = length

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return the shop's spelling."""
        return value if value is None else spell(dialect, self.table, self.column, str(value))

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        """Return the word in lower case if orderctl knows it, and every other value unchanged."""
        word, known = foreign.text(value), KNOWN[self.table, self.column]
        if word is None or word in known:
            return self.null if word is None else word
        return fold(word, known, shape.of(dialect).column(self.table, self.column))

    class Comparator(TypeDecorator.Comparator[str]):
        """Lets ``==``, ``!=``, ``in_`` and ``not_in`` with words find every spelling."""

        def operate(self, op: Any, *other: Any, **kwargs: Any) -> Any:
            """Return the comparison."""
            if (
                op in _COMPARED
                and other
                and not hasattr(other[0], "__clause_element__")
                and _is_words(other[0])
            ):
                words = (other[0],) if isinstance(other[0], str) else tuple(other[0])
                return spelled(self.expr, words, negated=op in {operators.ne, operators.not_in_op})
            return super().operate(op, *other, **kwargs)

    comparator_factory = Comparator


_COMPARED: Final = {operators.eq, operators.ne, operators.in_op, operators.not_in_op}


def _is_words(value: Any) -> bool:
    if isinstance(value, str):
        return True
    return isinstance(value, Iterable) and all(isinstance(word, str) for word in value)


class spelled(FunctionElement[bool]):  # noqa: N801 - a condition in SQL
    """Whether a column has one of the words, in any spelling.

    Args:
        column: A column with the type :class:`Word`.
        words: The words.
        negated: Whether the column must have none of the words.
    """

    type = Boolean()
    inherit_cache = True  # the spellings depend on the database: see ``compiled``
    _traverse_internals = [  # noqa: RUF012 - SQLAlchemy's way to say what a compiled statement depends on
        *FunctionElement._traverse_internals,  # noqa: SLF001 - as above
        ("words", InternalTraversal.dp_plain_obj),
        ("negated", InternalTraversal.dp_boolean),
    ]

    def __init__(self, column: Any, words: Iterable[str], *, negated: bool = False) -> None:
        super().__init__(column)
        self.words = tuple(map(str, words))
        self.negated = negated

    def self_group(self, against: Any = None) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the condition itself: it needs neither brackets nor a comparison with 1."""
        return self

    def _negate(self) -> Any:
        return spelled(next(iter(self.clauses)), self.words, negated=not self.negated)


@compiles(spelled)
def _compile(element: spelled, compiler: Any, **options: Any) -> str:
    column: Any = next(iter(element.clauses))
    found = dict.fromkeys(
        spelling
        for word in element.words
        for spelling in spellings(compiler.dialect, column.type.table, column.type.column, word)
    )
    bare = type_coerce(column, String)
    condition: ColumnElement[bool] = bare.not_in(found) if element.negated else bare.in_(found)
    if not found:
        condition = bare.is_not(None) if element.negated else false()
    elif len(found) == 1:
        [only] = found
        condition = bare != only if element.negated else bare == only
    return str(compiler.process(condition, **options))
