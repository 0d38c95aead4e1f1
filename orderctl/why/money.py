"""The links ``payment`` and ``match``: the order is paid, and no transfer for it lies aside."""

from __future__ import annotations

from orderctl import orders
from orderctl.why.chain import Link, State, Step
from orderctl.why.scene import Scene


def payment(scene: Scene) -> Step:
    """Return whether the order is paid."""
    order = scene.order
    if order is None or scene.is_paid:
        return Step(Link.PAYMENT, State.HOLDS, "the order is paid")
    return Step(
        Link.PAYMENT, State.BROKEN, "the order is not paid", "unpaid", repair=orders.how_to_pay(order)
    )


def match(scene: Scene) -> Step:  # noqa: ARG001 - for now
    """Return whether a transfer for the order lies aside."""
    return Step(Link.MATCH, State.HOLDS, "no transfer lies aside")
