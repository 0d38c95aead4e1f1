"""The link ``end``: whether the order has its end, who gave it, and what is missing where it has not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from orderctl import audit, clock, endings
from orderctl.audit import Search
from orderctl.counting import counted
from orderctl.orders import Order
from orderctl.states import ENDED_TASK, WAITING, EventType, OrderStatus, TaskStatus
from orderctl.tasks import Task
from orderctl.why import handling
from orderctl.why.chain import Link, State, Step
from orderctl.why.scene import Scene

_ENDS: Final = (EventType.ORDER_COMPLETED, EventType.ORDER_FAILED, EventType.ORDER_CANCELLED)
#: Events that are looked through for the one that tells of the end.
_LOOKED: Final = 200
#: Tasks that are told one by one.
_MOST: Final = 20


def end(scene: Scene) -> Step:
    """Return whether the order has its end."""
    order = scene.order
    if order is None:
        return Step(Link.END, State.AHEAD, "there is no order")
    unfinished = [task for task in scene.tasks if task.status not in ENDED_TASK]
    if scene.has_ended:
        return _with_unfinished(scene, order, unfinished) if unfinished else _of_ended(scene, order)
    if unfinished or not scene.tasks:
        left = f"{len(unfinished)} of {counted(len(scene.tasks), 'task')} not ended"
        return Step(Link.END, State.AHEAD, left if unfinished else "it has no tasks")
    if not scene.may_run:
        return Step(
            Link.END, State.AHEAD, "every task has ended; as it is, the order is not orderctl's to end"
        )
    return _not_ended(scene, order)


def _not_ended(scene: Scene, order: Order) -> Step:
    recorded = endings.is_recorded(scene.connection, order)
    by_shop = None if recorded else endings.by_shop(scene.connection, order)
    counts = Counter(task.status for task in scene.tasks)
    numbers = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
    text = "every task has ended, and the order has not"
    if by_shop is not None:
        text = f"the audit log says that the shop ended the order as {by_shop}, and its status is not written"
    return Step(
        Link.END,
        State.BROKEN,
        text,
        "not-ended" if by_shop is None else "end-not-written",
        (f"tasks: {numbers}", f"status of the order: {order.order_status}", *_told(scene, order)),
        "orderctl reconcile --fix",
    )


def _of_ended(scene: Scene, order: Order) -> Step:
    failed = [task.id for task in scene.tasks if task.status == TaskStatus.FAILED]
    when = f" at {clock.second(order.completed_at)}" if order.completed_at else ""
    because = f", because of task {failed[0]}" if failed and order.order_status == OrderStatus.FAILED else ""
    who = "" if endings.is_recorded(scene.connection, order) else " by the shop"
    text = f"the order is {order.order_status}{who}{when}{because}"
    return Step(Link.END, State.HOLDS, text, evidence=_told(scene, order))


def _with_unfinished(scene: Scene, order: Order, unfinished: Sequence[Task]) -> Step:
    """An order that has ended although it has work left: no worker claims its tasks."""
    waiting = [task for task in unfinished if task.status in WAITING and not task.leased]
    repair = handling.retry_command(scene, waiting) if waiting else None
    why = "Who has ended the order decides whether its tasks are to run"
    return Step(
        Link.END,
        State.BROKEN,
        f"the order is {order.order_status}, and {len(unfinished)} of {counted(len(scene.tasks), 'task')} not ended",
        "ended-with-tasks",
        (
            *(f"task {task.id}: {handling.shown(task.status)}" for task in unfinished[:_MOST]),
            *_told(scene, order),
        ),
        repair,
        f"{why}: a retry opens the order again" if repair else why,
    )


def _told(scene: Scene, order: Order) -> tuple[str, ...]:
    """Return the newest event of the log that tells of an end of the order."""
    found = audit.search(scene.connection, order.id, Search(), limit=_LOOKED)
    return tuple(handling.told(event) for event in found if event.event_type in _ENDS)[:1]
