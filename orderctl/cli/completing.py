"""What the TAB key offers for arguments and options that name things in the shop: codes, ids, statuses.

The kinds stand here by the names of parameters, so that a new command that takes an ORDER completes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from orderctl.cli.app import App

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from orderctl.quick_lookups import Lookup

#: The kind of values of a parameter: a constant of ``quick_lookups``.
_KINDS: Final = {
    "order": "ORDERS",
    "orders": "ORDERS",
    "references": "ORDERS",
    "task_id": "TASKS",
    "task_ids": "TASKS",
    "payment_id": "PAYMENTS",
    "message_id": "MESSAGES",
    "message_ids": "MESSAGES",
    "fingerprint": "FINGERPRINTS",
    "email": "CUSTOMERS",
}
#: The same for one command, where the name alone does not tell.
_OF_COMMAND: Final = {
    ("orders pay", "code"): "ORDERS",
    ("orders list", "status"): "ORDER_STATUSES",
    ("orders wait", "statuses"): "ORDER_STATUSES",
    ("tasks list", "status"): "TASK_STATUSES",
    ("tasks retry", "task_ids"): "FAILED_TASKS",
    ("worker stop", "name"): "SUPERVISORS",
    ("ops show", "name"): "OPERATIONS",
    ("ops wait", "name"): "OPERATIONS",
    ("ops stop", "name"): "OPERATIONS",
}


def kind(ctx: click.Context, param: click.Parameter) -> str | None:
    """Return the kind of the values of a parameter; None if they are not in the shop."""
    path = ctx.command_path.partition(" ")[2].split()
    words = [word for word in path if word.isalpha()]  # a context's path has the arguments, too
    own = (" ".join(words[:2]), str(param.name))
    if own[0] == "orders add":  # what is new
        return None
    return _OF_COMMAND.get(own) or _KINDS.get(str(param.name))


def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Return the values of a parameter that stand in the shop and begin with what was typed; none if it is away."""
    name = kind(ctx, param)
    if name is None:
        return []
    before, comma, last = incomplete.rpartition(",") if name.endswith("STATUSES") else ("", "", incomplete)
    try:
        from orderctl import quick_lookups

        wanted: Lookup = getattr(quick_lookups, name)
        found = quick_lookups.ask(ctx.ensure_object(App).settings, wanted, last)
    except Exception:  # noqa: BLE001 - nothing may appear in the line that the user is typing
        return []
    taken = _taken(ctx, param) | set(before.split(","))
    return _items({before + comma + value: about for value, about in found if value not in taken})


def _taken(ctx: click.Context, param: click.Parameter) -> set[str]:
    given = ctx.params.get(str(param.name))
    return set(map(str, given)) if isinstance(given, tuple) else set()


def _items(found: dict[str, str]) -> list[CompletionItem[str]]:
    from click.shell_completion import CompletionItem

    from orderctl import masking
    from orderctl.terminal import sanitise

    return [
        CompletionItem(value, help=sanitise.line(masking.foreign(about)) or None)
        for value, about in found.items()
        if value and value.isprintable()
    ]
