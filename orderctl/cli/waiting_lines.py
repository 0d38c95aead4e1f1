"""What watched orders and tasks wait for, for ``orderctl tail``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from orderctl.channels import Scope
from orderctl.cli import outlook
from orderctl.watched import Key, Waiting

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from orderctl.cli.app import App
    from orderctl.crews import Client
    from orderctl.follow import Why
    from orderctl.subjects import Subject
    from orderctl.waits import Reason


def of_subjects(app: App) -> Why:
    """Return a function that says what subjects wait for."""

    def why(subjects: Sequence[Subject]) -> list[Waiting]:
        with outlook.client(app) as client, app.reading() as connection:
            found = ((one.key, _reason(app, connection, client, one)) for one in subjects)
            return list(_waiting(found))

    return why


def of_everything(app: App) -> Why:
    """Return a function that says what the task waits for that has been due for the longest time."""

    def why(_subjects: Sequence[Subject]) -> list[Waiting]:
        from orderctl import readiness, tasks, waiting_reasons

        take_all = app.settings.worker.take == "all"
        with outlook.client(app) as client, app.reading() as connection:
            due = readiness.noted(connection, readiness.READY, take_all=take_all, limit=1)
            own = [tasks.find(connection, one.id) for one in due]
            reasons = waiting_reasons.of_tasks(connection, client, app.settings, own)
        return list(_waiting((None, reason) for reason in reasons.values()))

    return why


def _reason(app: App, connection: Connection, client: Client, subject: Subject) -> Reason | None:
    from orderctl import orders, tasks, waiting_reasons

    if subject.scope is Scope.TASK:
        own = [tasks.find(connection, subject.id)]
        return waiting_reasons.of_tasks(connection, client, app.settings, own).get(subject.id)
    order = orders.get(connection, subject.id)
    own = tasks.of_orders(connection, [order.id])
    return waiting_reasons.of_order(connection, client, app.settings, order, own)


def _waiting(found: Iterator[tuple[Key | None, Reason | None]]) -> Iterator[Waiting]:
    for key, reason in found:
        if reason is not None:
            yield Waiting(key, str(reason.cause), reason.text, reason.hint)
