"""The links ``managed`` and ``queue``: tasks are orderctl's to run, and the queue gives out its jobs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import redis

from orderctl import allowlist, broker, channels, doorbell, orders, rights, texts
from orderctl.counting import counted
from orderctl.errors import Misconfigured, OrderctlError
from orderctl.rights import Part
from orderctl.states import UNFINISHED, OrderStatus, TaskStatus
from orderctl.waits import Cause, Reason
from orderctl.why import facts, outages
from orderctl.why.chain import Link, State, Step
from orderctl.why.scene import Scene

#: Jobs before the first one of a task that are looked at.
_LOOKED: Final = 1000
#: Redis types of the keys that RQ needs, besides ``none``.
_LIST, _SET = "list", "set"


# --- managed


def managed(scene: Scene) -> Step:
    """Return whether the order is one that orderctl works on, with tasks that are its own to run."""
    order = scene.order
    if order is None:
        return _managed(
            State.BROKEN, "its order does not exist", "orphan", facts.of_tasks(scene.asked), _ORPHAN
        )
    if order.deleted:
        return _managed(State.BROKEN, "the shop has deleted the order", "order-deleted", (), _DELETED)
    if not orders.is_valid(order) and order.order_status != OrderStatus.CANCELLED:
        text = f"the order has the status {order.order_status!r}, which orderctl does not know"
        return _managed(State.BROKEN, text, "order-status-unknown", (), _ORDER_STATUS)
    if scene.has_ended:
        return _of_ended(scene, str(order.order_status))
    return _of_tasks(scene) if scene.tasks else _without_tasks(scene)


def _of_tasks(scene: Scene) -> Step:
    unknown = [one for one in scene.asked if one.status not in set(TaskStatus)]
    if not unknown:
        return _of_shop(scene)
    text = f"task {unknown[0].id} has the status {unknown[0].status!r}, which orderctl does not know"
    return _managed(State.BROKEN, text, "task-status-unknown", facts.of_tasks(unknown), _TASK_STATUS)


_ORPHAN: Final = "Only the shop can repair it: it writes the order again, or deletes the task."
_DELETED: Final = (
    "The row has a time in deleted_at. orderctl does nothing with it until the shop takes that time away."
)
_ORDER_STATUS: Final = (
    "orderctl runs orders that are pending or processing. The shop sets orders.order_status to one of these when it "
    "wants the order to run."
)
_TASK_STATUS: Final = "orderctl runs tasks that are pending. The shop sets download_tasks.status to 'pending' if the task is to run."
_NO_TASKS: Final = (
    "Nothing can be downloaded until the shop inserts the order's courses into download_tasks; orderctl adds no task to "
    "an order that exists."
)  # fmt: skip
_TASKS_DELETED: Final = (
    "The rows have a time in deleted_at. orderctl does nothing with them until the shop takes that time away, or adds "
    "other tasks."
)


def _managed(state: State, text: str, cause: str, lines: tuple[str, ...], explanation: str) -> Step:
    return Step(Link.MANAGED, state, text, cause, lines, explanation=explanation)


def _of_ended(scene: Scene, status: str) -> Step:
    """Return the step of an order that has ended; the shop may have added a task after that."""
    late = [one for one in scene.asked if facts.waits(one) and (one.managed or scene.take_all)]
    if not late or not scene.is_paid or status == OrderStatus.CANCELLED:
        return Step(Link.MANAGED, State.HOLDS, f"the order is {status}")
    text = f"the order is {status}, but {facts.named(late)} {'waits' if len(late) == 1 else 'wait'}"
    return Step(Link.MANAGED, State.BROKEN, text, "added-after-end", facts.of_tasks(late), facts.retry(late))


def _without_tasks(scene: Scene) -> Step:
    if scene.deleted_tasks:
        number = counted(len(scene.deleted_tasks), "task")
        lines = (f"deleted: task {', '.join(map(str, scene.deleted_tasks[: facts.MOST]))}",)
        text = f"the shop has deleted the order's {number}"
        return _managed(State.BROKEN, text, "tasks-deleted", lines, _TASKS_DELETED)
    return _managed(State.BROKEN, "the order has no tasks", "no-tasks", (), _NO_TASKS)


def _of_shop(scene: Scene) -> Step:
    shops = [one for one in scene.asked if not (one.managed or scene.take_all) and one.status in UNFINISHED]
    waiting = [one for one in shops if facts.waits(one)]
    if waiting:
        text = f"the shop's own workers are to carry out {facts.named(waiting)}"
        lines = (*facts.of_tasks(waiting), "orderctl's workers take such tasks where worker.take is 'all'")
        return Step(Link.MANAGED, State.BROKEN, text, "not-managed", lines, facts.retry(waiting, "--take"))
    if shops:
        text = f"one of the shop's own workers carries out {facts.named(shops)}"
        return Step(Link.MANAGED, State.WAITS, text, "with-the-shop", facts.of_tasks(shops))
    return Step(Link.MANAGED, State.HOLDS, "orderctl's workers carry out its tasks")


# --- queue


def queue(scene: Scene) -> Step:
    """Return whether Redis and the queue give out jobs to orderctl's workers."""
    if not scene.needs_worker:
        state = State.HOLDS if scene.has_ended else State.AHEAD
        return Step(Link.QUEUE, state, "no job is needed")
    name = scene.settings.worker.queue
    try:
        client = scene.redis
        if client is None:
            return Step(Link.QUEUE, State.AHEAD, "the embedded Redis starts with the workers")
        if not _may_work(scene, client, name):
            return _as_far_as_it_reads(scene, client, name)
        broker.require_writes(client, broker.key(client, channels.paused(name)))
        return _of_queue(scene, client, name)
    except OrderctlError as error:
        return outages.step(error)


def _may_work(scene: Scene, client: redis.Redis, name: str) -> bool:
    """Whether the account is one for workers; the right that it lacks is raised, unless it is there to read only."""
    try:
        broker.require(client, Part.WORK, name)
    except rights.OnlyReads:
        return False
    except Misconfigured:
        if scene.settings.read_only:
            return False
        raise
    return True


def _as_far_as_it_reads(scene: Scene, client: redis.Redis, name: str) -> Step:
    try:
        found = _of_queue(scene, client, name)
    except Misconfigured as error:
        lines = (str(error),)
        return Step(Link.QUEUE, State.UNKNOWN, rights.ONLY_READS, "redis-rights", lines)
    return replace(found, evidence=(*found.evidence, rights.ONLY_READS))


def _of_queue(scene: Scene, client: redis.Redis, name: str) -> Step:
    rq = doorbell.open_queue(client, name)
    with broker.translating():
        for key, kind in ((rq.key, _LIST), (rq.intermediate_queue_key, _LIST), (rq.redis_queues_keys, _SET)):
            found = client.type(key).decode()  # type: ignore[union-attr]
            if found not in {kind, "none"}:
                return outages.wrong_type(str(key), found, kind)
        strangers = _strangers(client, name)
        ahead = _ahead(client, rq, scene)
    reason = scene.sight.crew
    if isinstance(reason, Reason) and reason.cause is Cause.PAUSED:
        return Step(Link.QUEUE, State.BROKEN, reason.text, "queue-paused", (f"queue {name}",), reason.hint)
    if strangers:
        text = f"workers of another program take jobs of queue {name}, and fail orderctl's"
        lines = tuple(f"worker {one}" for one in strangers[: facts.MOST])
        return Step(Link.QUEUE, State.BROKEN, text, "foreign-workers", lines, explanation=_STRANGERS)
    if ahead:
        text = f"{counted(ahead, 'job')} of other programs stand before it; workers reject them"
        lines = ("they can be seen afterwards: orderctl worker rejected list",)
        return Step(Link.QUEUE, State.WAITS, text, "foreign-jobs", lines)
    return Step(Link.QUEUE, State.HOLDS, f"queue {name} gives out its jobs")


_STRANGERS: Final = (
    "Stop them, or let them read another queue. Or give orderctl a queue of its own by the setting worker.queue, and "
    "start its workers again."
)


def _strangers(client: redis.Redis, name: str) -> list[str]:
    """Return the RQ workers of other programs that read the queue and are alive."""
    prefix = broker.key(client, "rq:worker:")
    names: Any = client.smembers(broker.key(client, f"rq:workers:{name}"))
    others = sorted(raw for raw in names if not allowlist.is_own_worker(raw))
    alive = [raw for raw in others[:_LOOKED] if client.exists(raw)]
    return [texts.legible(raw.decode("utf-8", "replace").removeprefix(prefix), 80) for raw in alive]


def _ahead(client: Any, rq: Any, scene: Scene) -> int:
    """Return how many jobs of other programs stand before the first one of these tasks; 0 if it has none.

    Behind the first thousand jobs all are counted.
    """
    names = (name for one in scene.waiting[: facts.MOST] for name in doorbell.job_names(one.id, one.attempt))
    places = [place for name in names if (place := client.lpos(rq.key, name)) is not None]
    first = min(places, default=0)
    seen = client.lrange(rq.key, 0, min(first, _LOOKED) - 1) if first else ()
    others = sum(allowlist.task_of(raw) is None for raw in seen)
    return others + max(0, first - _LOOKED) if others else 0
