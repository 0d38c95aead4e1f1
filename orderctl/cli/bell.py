"""Publishes a change that is committed, and wakes the workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orderctl.errors import OrderctlError

if TYPE_CHECKING:
    from orderctl.cli.app import App
    from orderctl.lifecycle import Moved


def ring(app: App, moved: Sequence[Moved]) -> None:
    """Publish the changes, and ring the doorbell for the waiting tasks that orderctl may run.

    The changes are committed, so it is only a warning when Redis does not answer: the supervisors ring later.
    """
    from orderctl import doorbell

    try:
        doorbell.after_commit(app.redis, app.settings.worker.queue, moved)
    except OrderctlError as error:
        app.warn(
            f"warning: {error}; the change is saved, and workers find the tasks when Redis answers again"
        )
