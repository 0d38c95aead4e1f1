"""The checks of orders and tasks in the database: the queries of ``orderctl reconcile --check``, and what repairs each."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import Connection, select

from orderctl import deletion, findings, shape, statuses
from orderctl.counting import counted
from orderctl.doctor.checks import Area, Check, Verdict
from orderctl.doctor.surroundings import Surroundings
from orderctl.doctor.work import listed, named, number
from orderctl.findings import Finding
from orderctl.schema import download_tasks, orders
from orderctl.settings import Settings
from orderctl.statuses import Unknown

#: Of the newest tasks so many are looked at for their orders: all would be as many index entries as there are tasks.
_NEWEST: Final = 1000


def examine(around: Surroundings) -> Iterator[Check]:
    """Yield the checks of orders and tasks."""
    with around.reading() as connection:
        yield _unended(findings.unended(connection))
        yield _without_tasks(findings.without_tasks(connection))
        yield from orphans(connection)
        yield from _unknown(connection, around.settings)


def _unended(found: Sequence[Finding]) -> Check:
    if not found:
        return Check(
            Area.ORDERS, "unended", Verdict.WELL, "every order whose tasks have ended has ended", value=0
        )
    return Check(
        Area.ORDERS,
        "unended",
        Verdict.FAULT,
        f"all tasks of {number(found, 'paid order')} have ended, and the order has not: {named(found)}",
        "orderctl reconcile --fix",
        "Their customers get no mail. The shop's own workers may have ended the tasks without ending the order.",
        value=len(found),
        unit="orders",
    )


def _without_tasks(found: Sequence[Finding]) -> Check:
    if not found:
        return Check(Area.ORDERS, "without-tasks", Verdict.WELL, "every paid order has tasks", value=0)
    return Check(
        Area.ORDERS,
        "without-tasks",
        Verdict.FAULT,
        f"{number(found, 'paid order')} without tasks: {named(found)}",
        f"orderctl orders show {found[0].order_id}",
        "Nothing is ever downloaded for them. The shop has to add the tasks, or the order is cancelled and the money"
        " goes back.",
        value=len(found),
        unit="orders",
    )


def orphans(connection: Connection) -> Iterator[Check]:
    """Yield the check of tasks whose order does not exist, among the newest ones."""
    task = download_tasks.c
    newest = (
        select(task.id, task.order_id).where(deletion.not_deleted(download_tasks)).order_by(task.id.desc())
    )
    newest_of = newest.limit(_NEWEST).subquery()
    rows = connection.execute(
        select(newest_of.c.id, newest_of.c.order_id).where(
            ~select(orders.c.id).where(orders.c.id == newest_of.c.order_id).exists()
        )
    ).all()
    bound = shape.has_foreign_key(connection, download_tasks.name, "order_id")
    if not rows:
        text = f"each of the newest {_NEWEST:,} tasks has its order"
        text += "; a foreign key keeps it so" if bound else "; no foreign key keeps it so"
        yield Check(Area.ORDERS, "orphans", Verdict.WELL, text, value=0)
        return
    ids = listed([row[0] for row in rows])
    yield Check(
        Area.ORDERS,
        "orphans",
        Verdict.FAULT,
        f"the orders of {counted(len(rows), 'task')} do not exist: {ids} (of the newest {_NEWEST:,} tasks)",
        "orderctl reconcile --check",
        "The orders were deleted and their tasks were not. Only the shop can repair it; the command lists all of them.",
        value=len(rows),
        unit="tasks",
    )


def _unknown(connection: Connection, settings: Settings) -> Iterator[Check]:
    expected, pending = settings.reconcile.expected_statuses, settings.payments.pending_statuses
    found = statuses.unknown(connection, expected, pending)
    if not found:
        yield Check(Area.ORDERS, "unknown-statuses", Verdict.WELL, "every status is known", value=0)
    words = [*dict.fromkeys([*expected, *(one.status for one in found)])]
    for one in found:
        yield _unknown_status(one, words)


def _unknown_status(one: Unknown, words: Sequence[str]) -> Check:
    """Return the check of a status that orderctl does not know.

    Args:
        one: The status.
        words: What the setting ``reconcile.expected_statuses`` has to be for this one and all others.
    """
    rows = (
        f"more than {statuses.COUNT_LIMIT:,} rows"
        if one.count > statuses.COUNT_LIMIT
        else counted(one.count, "row")
    )
    return Check(
        Area.ORDERS,
        "unknown-statuses",
        Verdict.WARNING,
        f"{one.status!r} in {one.column}, which orderctl does not know: {rows}, such as {one.example}",
        f"export ORDERCTL_RECONCILE_EXPECTED_STATUSES={shlex.quote(','.join(words))}",
        "orderctl does nothing because of it: it runs no such task, and pays no such order. The setting says that it is"
        " the shop's; payments.pending_statuses says that such an order can be paid.",
        value=one.status,
    )
