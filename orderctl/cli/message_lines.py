"""What the settings say about messages that wait."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from orderctl.cli.app import App
from orderctl.states import MessageState

if TYPE_CHECKING:
    from orderctl.outgoing import Message


def explained(app: App, messages: Sequence[Message]) -> list[Message]:
    """Return messages; the error of one that waits for an endpoint that is not configured says so.

    Args:
        app: Knows the settings.
        messages: As the database has them.
    """
    waiting = {one.id: one.endpoint for one in messages if one.state == MessageState.WAITING}
    unknown = removed(app, waiting.values())
    return [_explained(one) if waiting.get(one.id) in unknown else one for one in messages]


def _explained(message: Message) -> Message:
    reason = f"the endpoint {message.endpoint} is not configured"
    before = f"; the last try: {message.last_error}" if message.last_error else ""
    return replace(message, last_error=f"{reason}{before}")


def removed(app: App, endpoints: Iterable[str | None]) -> list[str]:
    """Return those of some endpoints that are not configured any more.

    Args:
        app: Knows the settings.
        endpoints: Names; None: a message without an endpoint.
    """
    named = {name for name in endpoints if name is not None}
    if not named:
        return []
    from orderctl import webhook_endpoints

    return sorted(named - {endpoint.name for endpoint in webhook_endpoints.of(app.settings.notify)})
