"""Find the handler that the setting ``worker.handler`` names."""

from __future__ import annotations

from orderctl.downloads.protocol import Handler
from orderctl.extensions import Group

#: The entry points in which handlers announce themselves.
HANDLERS = Group("orderctl.handlers", "handler", "worker.handler")


def load(name: str) -> Handler:
    """Return a new handler of that name.

    Raises:
        Misconfigured: No installed package provides the name, several packages provide different handlers for
            it, or the handler cannot be imported.
    """
    handler: Handler = HANDLERS.load(name)
    return handler
