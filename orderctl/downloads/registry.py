"""Find the handler that the setting ``worker.handler`` names."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from orderctl.downloads.protocol import Handler
from orderctl.errors import Misconfigured

#: The group of entry points in which handlers announce themselves.
GROUP = "orderctl.handlers"


def load(name: str) -> Handler:
    """Return a new handler of that name.

    Raises:
        Misconfigured: No installed package provides the name, several packages provide different handlers for
            it, or the handler cannot be imported.
    """
    found = known()
    if name not in found:
        raise Misconfigured(
            f"setting worker.handler: handler {name!r} not found; "
            f"installed: {', '.join(sorted(found)) or 'none'}",
            hint=f"install the Python package that provides it as an entry point of the group {GROUP}",
        )
    if len(found[name]) > 1:
        raise Misconfigured(
            f"setting worker.handler: several packages provide a handler {name!r}: {', '.join(found[name])}"
        )
    return _make(next(iter(found[name].values())))


def known() -> dict[str, dict[str, EntryPoint]]:
    """Return the entry points by handler name, then by object; an editable install may repeat one."""
    found: dict[str, dict[str, EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, {})[entry.value] = entry
    return found


def _make(entry: EntryPoint) -> Handler:
    try:
        handler: Handler = entry.load()()
    except Exception as error:
        raise Misconfigured(
            f"the handler {entry.name} ({entry.value}) cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    return handler
