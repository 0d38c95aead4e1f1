"""Publishes a change that is committed, and wakes the workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orderctl.errors import Misconfigured, OrderctlError

if TYPE_CHECKING:
    from orderctl.cli.app import App
    from orderctl.lifecycle import Moved


def ring(app: App, moved: Sequence[Moved]) -> None:
    """Publish the changes, and ring the doorbell for the waiting tasks that orderctl may run.

    The changes are committed, so it is only a warning when Redis does not answer: the supervisors ring later.

    Raises:
        Misconfigured: Redis refuses the command. It would refuse the supervisors, too.
    """
    from orderctl import doorbell

    try:
        with naming_rights(app):
            doorbell.after_commit(app.redis, app.settings.worker.queue, moved)
    except Misconfigured as found:
        raise Misconfigured(f"{found}; the change is saved, but no worker runs it", hint=found.hint) from None
    except OrderctlError as error:
        app.warn(
            f"warning: {error}; the change is saved, and workers find the tasks when Redis answers again"
        )


@contextmanager
def naming_rights(app: App) -> Iterator[None]:
    """Name all missing rights when Redis refuses a command; a script's refusal names none.

    Raises:
        Misconfigured: Redis refuses the command.
    """
    try:
        yield
    except Misconfigured as error:
        raise _name_all(app) or error from None


def _name_all(app: App) -> Misconfigured | None:
    """Return an error that names all missing rights."""
    from orderctl import broker
    from orderctl.rights import Part

    try:
        broker.require(app.redis, Part.WORK, app.settings.worker.queue)
    except Misconfigured as error:
        return error
    except OrderctlError:
        pass
    return None
