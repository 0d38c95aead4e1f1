"""Failed tasks with the same error, as groups. What is read does not grow with the number of failed tasks.

An index has the tasks by status, error type and fingerprint. The groups are found with one step each. If they are few,
the tasks of each are counted up to a limit, from the newest one on; if they are many, the newest failed tasks are grouped.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    func,
    literal,
    select,
    type_coerce,
    union_all,
)

from orderctl import foreign, masking, shape, walks, words
from orderctl.schema import download_tasks
from orderctl.states import TaskStatus
from orderctl.walks import Part

#: At most this many groups are looked at.
MOST: Final = 100
#: With more groups than ``FEW``, this many of the newest failed tasks are looked at.
_NEWEST: Final = 400
#: The numbers of tasks stop here: those of few groups, and those of many.
FEW: Final = 10
CAP_OF_FEW: Final = 1_000
CAP_OF_MANY: Final = 100

#: How many tasks are read for one step from group to group: many groups have one task.
_STEP: Final = 20

_Conditions: TypeAlias = Collection[ColumnElement[bool]]
_TASK: Final = download_tasks.c
_COLUMNS: Final = (_TASK.status, _TASK.error_type, _TASK.error_fingerprint)
#: As the driver reads them: the values are compared with the rows again.
_ERROR: Final[tuple[Any, Any]] = (
    type_coerce(_TASK.error_type, String).label("error_type"),
    type_coerce(_TASK.error_fingerprint, String).label("error_fingerprint"),
)


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """A group of failed tasks with the same error type and fingerprint, with the newest as an example.

    Attributes:
        error_type: The type; None if the shop's worker wrote none.
        fingerprint: The fingerprint.
        count: The number of tasks.
        latest_task_id: The newest of them.
        example: What the newest one says of its error.
        capped: Whether counting stopped at ``count``: there are more.
    """

    error_type: str | None
    fingerprint: str | None
    count: int
    latest_task_id: int
    example: str | None
    capped: bool = False


def parts(
    connection: Connection,
    status: str | None,
    *,
    error_type: str | None = None,
    fingerprint: str | None = None,
    most: int = MOST,
) -> list[Part] | None:
    """Return a part of the tasks for each group that an index tells apart; None if there are more than ``most``.

    Args:
        connection: A connection for reading.
        status: The status of the tasks, as it stands in the rows.
        error_type: Only groups of this error type.
        fingerprint: Only groups of this fingerprint.
        most: The maximum number of groups.
    """
    its_status = type_coerce(_TASK.status, String)
    query = select(*_ERROR).where(its_status.is_(None) if status is None else its_status == status)
    if error_type is not None:
        query = query.where(_TASK.error_type == error_type)
    rows = _groups(connection, query, error_type, most)
    if len(rows) > most:
        return None
    same = _comparison(connection, fingerprint)
    return [tuple(zip(_COLUMNS, (status, *row), strict=True)) for row in rows if same(row[1])]


def _groups(
    connection: Connection, query: Select[Any], error_type: str | None, most: int
) -> list[tuple[Any, Any]]:
    """Return the groups of the rows of a query in the index's order; more than ``most`` need not be all."""
    dialect = connection.dialect
    there = shape.of(dialect).column("download_tasks", "error_type")
    if walks.is_mysql(dialect) or (there and there.words):
        # With the status, although it is constant: so MySQL steps from group to group in the index, but not for few.
        return [tuple(row) for row in connection.execute(query.group_by(*_COLUMNS).limit(MOST + 1))]
    return list(dict.fromkeys(islice(_walk(connection, query, error_type), most + 1)))


def _walk(connection: Connection, query: Select[Any], error_type: str | None) -> Iterator[tuple[Any, Any]]:
    """Yield the groups. MariaDB and SQLite would read all tasks of each for a GROUP BY."""
    kind, mark = _ERROR
    # Not by a column that is constant, too: MariaDB would sort.
    next_kinds = query.order_by(kind, mark).limit(_STEP)
    rows = connection.execute(next_kinds if error_type is None else query.order_by(mark).limit(_STEP)).all()
    while rows:
        yield from dict.fromkeys(tuple(row) for row in rows)
        last = rows[-1]
        same = kind.is_(None) if last[0] is None else kind == last[0]
        rows = connection.execute(query.where(same, _after(mark, last[1])).order_by(mark).limit(_STEP)).all()
        if not rows and error_type is None:
            rows = connection.execute(next_kinds.where(_after(kind, last[0]))).all()


def _after(column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    return column.is_not(None) if value is None else column > value  # NULL comes first


def _comparison(connection: Connection, fingerprint: str | None) -> Callable[[Any], bool]:
    """Return the comparison with a fingerprint as the database makes it."""
    there = shape.of(connection.dialect).column("download_tasks", "error_fingerprint")
    fold = str.casefold if there is not None and there.ignores_case else str
    return lambda value: (
        fingerprint is None or (value is not None and fold(foreign.text(value) or "") == fold(fingerprint))
    )


def find(
    connection: Connection,
    conditions: _Conditions,
    *,
    limit: int,
    error_type: str | None = None,
    fingerprint: str | None = None,
) -> list[ErrorGroup]:
    """Return groups of failed tasks, the largest first, each counted up to a limit.

    Args:
        connection: A connection for reading.
        conditions: Conditions on the tasks besides these.
        limit: The maximum number of groups.
        error_type: Only tasks that failed with this error type.
        fingerprint: Only tasks that failed with this fingerprint.
    """
    chosen: list[Part] = []
    counted: list[ErrorGroup] = []
    for status in _failed(connection):
        most = FEW if error_type is fingerprint is None else MOST
        found = parts(connection, status, error_type=error_type, fingerprint=fingerprint, most=most)
        if found is None:
            counted += _of_newest(connection, status, conditions)
        else:
            chosen += found
    counted += _count(connection, chosen, conditions) if chosen else []
    return _shown(connection, _merged(counted), limit)


def find_all(connection: Connection, conditions: _Conditions, *, limit: int) -> list[ErrorGroup]:
    """Return the groups of all failed tasks that meet conditions, the largest first, each counted completely.

    Args:
        connection: A connection for reading.
        conditions: The conditions on the tasks.
        limit: The maximum number of groups.
    """
    number, latest = func.count().label("number"), func.max(_TASK.id).label("latest")
    query = select(*_ERROR, number, latest).where(_TASK.status == TaskStatus.FAILED, *conditions)
    groups = query.group_by(_TASK.error_type, _TASK.error_fingerprint).order_by(number.desc(), latest.desc())
    rows = connection.execute(groups.limit(limit))
    found = [_group(*row[:2], number=row.number, latest=row.latest) for row in rows]
    return _shown(connection, found, limit)


def _failed(connection: Connection) -> Sequence[str]:
    return words.spellings(connection.dialect, "download_tasks", "status", TaskStatus.FAILED)


def _of_newest(connection: Connection, status: str, conditions: _Conditions) -> list[ErrorGroup]:
    """Return the largest groups of the newest failed tasks, with their numbers among these."""
    query = select(_TASK.id).where(*conditions)
    found_in = walks.parts((_TASK.status, [status]))
    newest = walks.newest(connection.dialect, query, found_in, [_TASK.id], limit=_NEWEST + 1).subquery()
    number, latest = func.count().label("number"), func.max(_TASK.id).label("latest")
    groups = (
        select(*_ERROR, number, latest)
        .join_from(newest, download_tasks, _TASK.id == newest.c.id)
        .group_by(_TASK.error_type, _TASK.error_fingerprint)
    )
    rows = connection.execute(groups).all()
    capped = sum(row.number for row in rows) > _NEWEST
    return [_group(*row[:2], number=row.number, latest=row.latest, capped=capped) for row in rows]


def _count(connection: Connection, chosen: Sequence[Part], conditions: _Conditions) -> list[ErrorGroup]:
    cap = CAP_OF_FEW if len(chosen) <= FEW else CAP_OF_MANY
    counts = []
    for number, part in enumerate(chosen):
        some = walks.newest(
            connection.dialect, select(_TASK.id).where(*conditions), [part], [_TASK.id], limit=cap + 1
        ).subquery()
        counts.append(select(literal(number), func.count(), func.max(some.c.id)).select_from(some))
    return [
        _group(
            *(value for _, value in chosen[at][1:]),
            number=min(number, cap),
            latest=latest,
            capped=number > cap,
        )
        for at, number, latest in connection.execute(union_all(*counts))
        if number
    ]


def _group(
    error_type: Any, fingerprint: Any, *, number: int, latest: int, capped: bool = False
) -> ErrorGroup:
    return ErrorGroup(foreign.text(error_type), foreign.text(fingerprint), number, latest, None, capped)


def _merged(groups: Sequence[ErrorGroup]) -> list[ErrorGroup]:
    """Return each group once, the largest first: the shop may spell the status in several ways."""
    merged: dict[tuple[str | None, str | None], ErrorGroup] = {}
    for one in groups:
        key = one.error_type, one.fingerprint
        before = merged.get(key, ErrorGroup(*key, 0, 0, None))
        latest = max(one.latest_task_id, before.latest_task_id)
        merged[key] = ErrorGroup(*key, one.count + before.count, latest, None, one.capped or before.capped)
    return sorted(merged.values(), key=lambda group: (-group.count - group.capped, -group.latest_task_id))


def _shown(connection: Connection, groups: Sequence[ErrorGroup], limit: int) -> list[ErrorGroup]:
    """Return the first groups with the examples."""
    shown = groups[:limit]
    query = select(_TASK.id, _TASK.error_log, _TASK.course_url)
    newest = query.where(_TASK.id.in_([group.latest_task_id for group in shown]))
    tasks = {row.id: row for row in connection.execute(newest)} if shown else {}
    return [_with_example(group, tasks[group.latest_task_id]) for group in shown]


def _with_example(group: ErrorGroup, task: Any) -> ErrorGroup:
    example = task.error_log and masking.of_task(task.error_log, task.course_url or "")
    return ErrorGroup(
        group.error_type, group.fingerprint, group.count, group.latest_task_id, example, group.capped
    )
