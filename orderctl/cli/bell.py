"""After a change is committed: tell who watches, and wake the workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orderctl.errors import OrderctlError

if TYPE_CHECKING:
    from orderctl.cli.app import App
    from orderctl.lifecycle import Moved


def ring(app: App, moved: Sequence[Moved]) -> None:
    """Publish what has changed and ring for the tasks that wait and are ours to run.

    The change is committed: a Redis that does not answer is a warning, and the supervisors ring later.
    """
    from orderctl import doorbell

    try:
        doorbell.after_commit(app.redis, app.settings.worker.queue, moved)
    except OrderctlError as error:
        app.warn(
            f"warning: {error}; the change is saved, and workers find the tasks when Redis answers again"
        )
