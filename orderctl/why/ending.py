"""The link ``end``: the order has its end."""

from __future__ import annotations

from orderctl.why.chain import Link, State, Step
from orderctl.why.scene import Scene


def end(scene: Scene) -> Step:
    """Return whether the order has its end."""
    if scene.order is not None and scene.has_ended:
        return Step(Link.END, State.HOLDS, f"the order is {scene.order.order_status}")
    return Step(Link.END, State.AHEAD, "the order has not ended")
