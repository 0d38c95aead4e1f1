"""The link ``relay``: dashboards see the order live."""

from __future__ import annotations

from orderctl.why.chain import Link, State, Step
from orderctl.why.scene import Scene


def relay(scene: Scene) -> Step:
    """Return whether dashboards see the order live."""
    return Step(Link.RELAY, State.HOLDS if scene.has_ended else State.AHEAD, "nothing to see")
