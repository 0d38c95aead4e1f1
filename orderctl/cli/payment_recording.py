"""Records what a bank has told, each delivery in a transaction of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orderctl.cli import payment_lines
from orderctl.counting import counted
from orderctl.errors import OrderctlError

if TYPE_CHECKING:
    from orderctl.audit import Origin
    from orderctl.cli.app import App
    from orderctl.payments.amounts import Rules
    from orderctl.payments.intake import Receipt
    from orderctl.payments.transfer import Transfer


def record(app: App, deliveries: Sequence[Sequence[Transfer]], rules: Rules, origin: Origin) -> None:
    """Record the deliveries, and report what has become of each transfer.

    Raises:
        OrderctlError: A payment paid no order, although money came in; or a delivery could not be recorded: the later
            ones are not tried then, and the same list can be recorded again.
    """
    from orderctl.payments import intake

    receipts: list[Receipt] = []
    for number, transfers in enumerate(deliveries):
        try:
            receipts += app.transact(
                lambda connection, told=transfers: intake.receive(connection, told, rules, origin)  # type: ignore[misc]
            )
        except OrderctlError:
            if number:
                _report(app, receipts)
                left = counted(len(deliveries) - number, "delivery", "deliveries")
                app.warn(f"{left} not recorded: the same list can be recorded again")
            raise
    payment_lines.report(app, receipts)


def _report(app: App, receipts: Sequence[Receipt]) -> None:
    """Report what was recorded before an error; that one is raised, and says more."""
    try:
        payment_lines.report(app, receipts)
    except OrderctlError as error:
        app.warn(f"orderctl: {error}")
