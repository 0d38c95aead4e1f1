"""The links ``managed``, ``doorbell`` and ``queue``: tasks are orderctl's to run, have a job, and the queue gives it out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import redis

from orderctl import allowlist, broker, channels, clock, doorbell, orders, sweep, texts
from orderctl.counting import counted
from orderctl.crews import Crew
from orderctl.errors import OrderctlError
from orderctl.rights import Part
from orderctl.states import UNFINISHED, WAITING, OrderStatus, TaskStatus
from orderctl.tasks import Task
from orderctl.waits import Cause, Reason
from orderctl.why import outages
from orderctl.why.chain import Link, State, Step
from orderctl.why.scene import Scene

#: A supervisor rings for a due task within a second, or some if the queue has jobs.
_RUNG_WITHIN: Final = timedelta(seconds=10)
#: The pauses that orderctl makes are lengthened by a tenth at most; the shortest limit is the one without a setting.
_LONGEST_PAUSE: Final = timedelta(seconds=300)
#: Tasks that a command or an evidence names.
_NAMED: Final = 20
#: Jobs before the first one of a task that are looked at.
_LOOKED: Final = 1000
#: Redis types of the keys that RQ needs, besides ``none``.
_LIST, _SET = "list", "set"


# --- managed


def managed(scene: Scene) -> Step:
    """Return whether the order is one that orderctl works on, with tasks that are its own to run."""
    order = scene.order
    if order is None:
        return _managed(State.BROKEN, "its order does not exist", "orphan", _facts(scene.asked), _ORPHAN)
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
    return _managed(State.BROKEN, text, "task-status-unknown", _facts(unknown), _TASK_STATUS)


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


def _managed(state: State, text: str, cause: str, facts: tuple[str, ...], explanation: str) -> Step:
    return Step(Link.MANAGED, state, text, cause, facts, explanation=explanation)


def _of_ended(scene: Scene, status: str) -> Step:
    """Return the step of an order that has ended; the shop may have added a task after that."""
    late = [one for one in scene.asked if _waits(one) and (one.managed or scene.take_all)]
    if not late or not scene.is_paid or status == OrderStatus.CANCELLED:
        return Step(Link.MANAGED, State.HOLDS, f"the order is {status}")
    text = f"the order is {status}, but {_named(late)} {'waits' if len(late) == 1 else 'wait'}"
    return Step(Link.MANAGED, State.BROKEN, text, "added-after-end", _facts(late), _retry(late))


def _without_tasks(scene: Scene) -> Step:
    if scene.deleted_tasks:
        number = counted(len(scene.deleted_tasks), "task")
        facts = (f"deleted: task {', '.join(map(str, scene.deleted_tasks[:_NAMED]))}",)
        text = f"the shop has deleted the order's {number}"
        return _managed(State.BROKEN, text, "tasks-deleted", facts, _TASKS_DELETED)
    return _managed(State.BROKEN, "the order has no tasks", "no-tasks", (), _NO_TASKS)


def _of_shop(scene: Scene) -> Step:
    shops = [one for one in scene.asked if not (one.managed or scene.take_all) and one.status in UNFINISHED]
    waiting = [one for one in shops if _waits(one)]
    if waiting:
        text = f"the shop's own workers are to carry out {_named(waiting)}"
        facts = (*_facts(waiting), "orderctl's workers take such tasks where worker.take is 'all'")
        return Step(Link.MANAGED, State.BROKEN, text, "not-managed", facts, _retry(waiting, "--take"))
    if shops:
        text = f"one of the shop's own workers carries out {_named(shops)}"
        return Step(Link.MANAGED, State.WAITS, text, "with-the-shop", _facts(shops))
    return Step(Link.MANAGED, State.HOLDS, "orderctl's workers carry out its tasks")


# --- doorbell


def doorbell_step(scene: Scene) -> Step:
    """Return whether each task that is due has a job in the queue."""
    waiting = scene.waiting
    if not waiting:
        held = scene.has_ended or (scene.may_run and any(one.status in UNFINISHED for one in scene.asked))
        return Step(
            Link.DOORBELL, State.HOLDS if held else State.AHEAD, "no task waits" if held else "nothing is due"
        )
    late = [one for one in waiting if _is_far(scene, one)]
    if late:
        text = f"{_named(late)} waits for a time that no pause of orderctl's is as long as"
        return Step(Link.DOORBELL, State.BROKEN, text, "due-too-late", _facts(late), _retry(late))
    due = [one for one in waiting if scene.is_due(one)]
    if not due:
        text = scene.said_of(waiting[0], Cause.RETRY) or "no task is due yet"
        return Step(Link.DOORBELL, State.WAITS, text, "not-due", _facts(waiting))
    return _rung(scene, due)


def _is_far(scene: Scene, task: Task) -> bool:
    limit = max(_LONGEST_PAUSE, timedelta(seconds=scene.settings.worker.max_retry_after)) * 1.2
    return task.available_at is not None and task.available_at - scene.now > limit


def _rung(scene: Scene, due: Sequence[Task]) -> Step:
    client, queue = scene.redis, scene.settings.worker.queue
    first = [(one.id, one.attempt) for one in due if one.failing_since is None]
    again = [(one.id, one.attempt) for one in due if one.failing_since is not None]
    places = scene.settings.worker.concurrency
    silent = doorbell.without_job(client, queue, first, again, places)
    if not silent:
        return Step(Link.DOORBELL, State.HOLDS, "a worker was woken for it: it has a job in the queue")
    without = [one for one in due if one.id in silent]
    if not isinstance(scene.sight.crew, Crew):
        return Step(Link.DOORBELL, State.AHEAD, "no job in the queue: only a supervisor that works rings")
    if client is not None and _just_taken(client, without):
        return Step(Link.DOORBELL, State.WAITS, "a worker has just taken its job", "job-taken")
    if client is not None and (jobs := doorbell.length(client, queue)) >= sweep.LONG_QUEUE:
        text = f"the queue has {jobs:,} jobs: supervisors add none until there are fewer"
        return Step(Link.DOORBELL, State.WAITS, text, "queue-long", _facts(without))
    if scene.now - _since(scene, without[0]) < _RUNG_WITHIN:
        return Step(Link.DOORBELL, State.WAITS, "a supervisor rings in a moment", "ringing")
    text = f"{_named(without)} {'is' if len(without) == 1 else 'are'} due and without a job in the queue"
    return Step(Link.DOORBELL, State.BROKEN, text, "no-doorbell", _facts(without), "orderctl reconcile")


def _just_taken(client: redis.Redis, tasks: Sequence[Task]) -> bool:
    keys = [broker.key(client, channels.rung(doorbell.job_id(one.id, one.attempt))) for one in tasks[:_NAMED]]
    with broker.translating():
        return bool(client.exists(*keys))


def _since(scene: Scene, task: Task) -> Any:
    """Return since when a task can be due, as far as it is known."""
    paid_at = scene.order.paid_at if scene.order is not None else None
    known = [at for at in (task.available_at, task.updated_at, paid_at) if at is not None]
    return max(known, default=scene.now - _RUNG_WITHIN)


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
        broker.require(client, Part.WORK, name)
        broker.require_writes(client, broker.key(client, channels.paused(name)))
        return _of_queue(scene, client, name)
    except OrderctlError as error:
        return outages.step(error)


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
        facts = tuple(f"worker {one}" for one in strangers[:_NAMED])
        return Step(Link.QUEUE, State.BROKEN, text, "foreign-workers", facts, explanation=_STRANGERS)
    if ahead:
        text = f"{counted(ahead, 'job')} of other programs stand before it; workers reject them"
        facts = ("they can be seen afterwards: orderctl worker rejected list",)
        return Step(Link.QUEUE, State.WAITS, text, "foreign-jobs", facts)
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
    """Return how many jobs of other programs stand before the first one of these tasks; 0 if it has none."""
    wanted = {one.id for one in scene.waiting}
    before = 0
    for raw in client.lrange(rq.key, 0, _LOOKED - 1):
        task = allowlist.task_of(raw)
        if task in wanted:
            return before
        before += task is None
    return 0


# --- words


def _waits(task: Task) -> bool:
    """Whether a task waits for a worker: the lease's token decides, as for a claim."""
    return task.status in WAITING and task.lease_token is None


def _named(tasks: Sequence[Task]) -> str:
    numbers = ", ".join(str(one.id) for one in tasks[:_NAMED])
    more = " and others" if len(tasks) > _NAMED else ""
    return f"task{'s' if len(tasks) > 1 else ''} {numbers}{more}"


def _retry(tasks: Sequence[Task], *options: str) -> str:
    return " ".join(["orderctl tasks retry", *(str(one.id) for one in tasks), *options])


def _facts(tasks: Sequence[Task]) -> tuple[str, ...]:
    return tuple(fact(one) for one in tasks[:_NAMED])


def fact(task: Task) -> str:
    """Return what the row of a task says, for an evidence."""
    parts = [
        f"task {task.id} is {task.status or 'without a status'}",
        f"attempt {task.attempt} of {task.max_attempts}",
    ]
    if task.lease_token is not None:
        until = "without an end" if task.lease_until is None else f"until {clock.iso(task.lease_until)}"
        parts.append(f"lease of {texts.legible(task.worker or 'an unknown worker', 80)} {until}")
    elif task.available_at is not None:
        parts.append(f"due at {clock.iso(task.available_at)}")
    return ", ".join(parts)  # fmt: skip
