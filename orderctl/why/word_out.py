"""The links ``mail`` and ``webhook``: people and the shop's programs have been told."""

from __future__ import annotations

from orderctl.why.chain import Link, State, Step
from orderctl.why.scene import Scene


def mail(scene: Scene) -> Step:
    """Return whether the customer and the admins have been told."""
    return _told(scene, Link.MAIL)


def webhook(scene: Scene) -> Step:
    """Return whether the shop's programs have been told."""
    return _told(scene, Link.WEBHOOK)


def _told(scene: Scene, link: Link) -> Step:
    return (
        Step(link, State.HOLDS, "nothing waits")
        if scene.has_ended
        else Step(link, State.AHEAD, "nothing to tell yet")
    )
