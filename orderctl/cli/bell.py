"""After a change is committed: tell who watches, and wake the workers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from orderctl.errors import OrderctlError
from orderctl.states import WAITING

if TYPE_CHECKING:
    from orderctl.cli.app import App
    from orderctl.messages import StatusChange
    from orderctl.tasks import Task


def ring(app: App, tasks: Iterable[Task], messages: Iterable[StatusChange] = ()) -> None:
    """Publish what has changed and ring for the tasks that wait and are ours to run.

    The change is committed: a Redis that does not answer is a warning, and the supervisors ring later.
    """
    from orderctl import announce, doorbell

    bells = [(task.id, task.attempt) for task in tasks if task.managed and task.status in WAITING]
    try:
        announce.changes(app.redis, messages)
        doorbell.ring(app.redis, app.settings.worker.queue, bells)
    except OrderctlError as error:
        app.warn(f"warning: {error}; it is done all the same, workers find the tasks once Redis answers")
