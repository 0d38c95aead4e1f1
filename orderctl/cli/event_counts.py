"""Count the events of the audit log that no supervisor has counted, before they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orderctl.counting import counted
from orderctl.errors import OrderctlError

if TYPE_CHECKING:
    from collections.abc import Callable

    from orderctl.cli.app import App

_TELL_SECONDS: Final = 5.0


def catch_up(app: App, *, anew: bool = False) -> None:
    """Count the events that are not counted yet if they are many, and say that this takes a moment.

    The numbers are right without it: an account that may only read counts such events each time.

    Args:
        app: The application.
        anew: Count all events again.

    Raises:
        OrderctlError: All events are to be counted again, and the account may not write; or the database does not
            answer or is not migrated.
    """
    from orderctl import audit_counting

    if anew:
        app.require_writable("logs summary --recount")
    if app.settings.read_only or (not anew and not audit_counting.is_far(app.engine, audit_counting.MANY)):
        return
    which = "all events anew" if anew else "the events that are not counted yet"
    app.say(f"counting {which}; with millions of them this takes a minute")
    try:
        audit_counting.catch_up(app.engine, _progress(app), anew=anew)
    except OrderctlError:
        if anew:
            raise


def _progress(app: App) -> Callable[[int], None]:
    from orderctl import clock

    told = clock.elapsed()

    def tell(total: int) -> None:
        nonlocal told
        if clock.elapsed() - told >= _TELL_SECONDS:
            told = clock.elapsed()
            app.say(f"{counted(total, 'event')} so far")

    return tell
