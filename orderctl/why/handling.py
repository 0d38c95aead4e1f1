"""The link ``handler``: what tasks failed with, and what has to happen before they can succeed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from sqlalchemy import select

from orderctl import audit, clock, masking, orders, texts
from orderctl.audit import Event, Search
from orderctl.counting import counted
from orderctl.downloads.registry import HANDLERS
from orderctl.errors import Misconfigured
from orderctl.schema import download_tasks
from orderctl.states import UNFINISHED, ErrorType, EventType, OrderStatus, TaskStatus
from orderctl.tasks import Task
from orderctl.why import facts, failure_causes
from orderctl.why.chain import Link, State, Step
from orderctl.why.failure_causes import Failed, Trouble, first_of
from orderctl.why.scene import Scene

#: Characters of a text of a stranger that is told.
_LONGEST: Final = 500


def handler(scene: Scene) -> Step:
    """Return whether the files of the tasks can be fetched and stored."""
    failed = [task for task in scene.asked if task.status == TaskStatus.FAILED]
    if failed:
        return _of_failed(scene, failed)
    unfinished = [task for task in scene.asked if task.status in UNFINISHED]
    if unfinished:
        return _of_unfinished(scene, unfinished)
    cancelled = [task for task in scene.asked if task.status == TaskStatus.CANCELLED]
    if cancelled and len(cancelled) == len(scene.asked):
        return _of_cancelled(scene, cancelled)
    completed = sum(task.status == TaskStatus.COMPLETED for task in scene.asked)
    if not completed:
        return Step(Link.HANDLER, State.AHEAD, "no task has been tried")
    left_out = f", {len(cancelled)} cancelled" if cancelled else ""
    return Step(Link.HANDLER, State.HOLDS, f"{counted(completed, 'task')} completed{left_out}")


def retry_command(scene: Scene, tasks: Sequence[Task]) -> str | None:
    """Return the command that retries tasks; None if it would be refused, as for an order that is not paid.

    Args:
        scene: The order.
        tasks: Some of its tasks, at least one.
    """
    order = scene.order
    if order is None or order.deleted or not scene.is_paid:
        return None
    if not orders.is_valid(order) and order.order_status != OrderStatus.CANCELLED:
        return None
    take = () if all(task.managed for task in tasks) else ("--take",)
    failed = {task.id for task in scene.tasks if task.status == TaskStatus.FAILED}
    if len(tasks) > facts.MOST and failed == {task.id for task in tasks}:
        return facts.retry((), "--failed", "--order", str(order.id), "--yes", *take)
    return facts.retry(tasks, *take)


def told(event: Event) -> str:
    """Return what an event of the audit log says, as evidence."""
    when = f" at {clock.second(event.created_at)}" if event.created_at else ""
    by = f" by {shown(event.actor or event.source)}" if event.actor or event.source else ""
    return f"event {event.id}{when}{by}: {shown(event.message)}"


def shown(text: str | None) -> str:
    """Return a text of a stranger without secrets, in one line."""
    return texts.legible(masking.text(text or ""), _LONGEST)


def sentence(text: str) -> str:
    """Return a text with a capital at its begin, unless it begins with a name, such as that of a setting."""
    first = text.split(maxsplit=1)[0] if text.split() else ""
    return text if "." in first.rstrip(".") or "_" in first else text[:1].upper() + text[1:]


def _of_failed(scene: Scene, failed: Sequence[Task]) -> Step:
    troubles = _troubles(scene, failed)
    ready = [task for task, found in troubles if found.first is None]
    blocked = [(task, found) for task, found in troubles if found.first is not None]
    task, trouble = troubles[0]
    return Step(
        Link.HANDLER,
        State.BROKEN,
        _headline(scene, failed, task, trouble),
        trouble.cause,
        _evidence(troubles),
        retry_command(scene, ready) if ready else None,
        _explained(scene, blocked, failed),
    )


def _headline(scene: Scene, failed: Sequence[Task], task: Task, trouble: Trouble) -> str:
    if len(scene.asked) == 1:
        return f"task {task.id} failed: {trouble.text}"
    return f"{len(failed)} of {counted(len(scene.asked), 'task')} failed; task {task.id}: {trouble.text}"


def _explained(scene: Scene, blocked: Sequence[tuple[Task, Trouble]], failed: Sequence[Task]) -> str | None:
    """Return what has to be done first for each, and the command that retries them then.

    Args:
        scene: The order.
        blocked: Failed tasks for which something has to be done first.
        failed: All failed tasks: many are retried together, also those for which nothing has to be done.
    """
    if not blocked:
        return None
    first = "; ".join(_firsts(blocked))
    after = retry_command(scene, failed if len(blocked) > facts.MOST else [task for task, _ in blocked])
    return sentence(f"{first}; then: {after}" if after else first)


def _firsts(blocked: Sequence[tuple[Task, Trouble]]) -> Iterator[str]:
    """Yield what has to be done first, once for tasks that are alike."""
    alike: dict[tuple[str | None, bool], list[tuple[Task, Trouble]]] = {}
    for task, found in blocked:
        alike.setdefault((found.first, found.address), []).append((task, found))
    for group in alike.values():
        its = [task for task, _ in group]
        of = f"{facts.named(its)}: " if len(blocked) > 1 else ""
        yield of + first_of(group[0][1], [task.id for task in its])


def _troubles(scene: Scene, failed: Sequence[Task]) -> list[tuple[Task, Trouble]]:
    addresses = _addresses(scene, failed)
    return [(task, _trouble(scene, task, addresses.get(task.id, ""))) for task in failed]


def _trouble(scene: Scene, task: Task, url: str) -> Trouble:
    kind = ErrorType(task.error_type) if task.error_type in set(ErrorType) else ErrorType.UNKNOWN
    failed = Failed(kind, task.error_log or "", url, scene.now)
    return failure_causes.of(failed, scene.settings)


def _addresses(scene: Scene, tasks: Sequence[Task]) -> Mapping[int, str]:
    """Return the addresses of courses as they are: a task that is shown has its own masked."""
    task = download_tasks.c
    query = select(task.id, task.course_url).where(task.id.in_([one.id for one in tasks]))
    return {row.id: row.course_url or "" for row in scene.connection.execute(query)}


def _evidence(troubles: Sequence[tuple[Task, Trouble]]) -> tuple[str, ...]:
    lines = dict.fromkeys(line for task, found in troubles[: facts.MOST] for line in _facts(task, found))
    if (left := len(troubles) - facts.MOST) > 0:
        order_id = troubles[0][0].order_id
        lines[f"and {counted(left, 'other')}: orderctl tasks list --failed --order {order_id}"] = None
    return tuple(lines)


def _facts(task: Task, trouble: Trouble) -> tuple[str, ...]:
    first = (task.error_log or "no error is noted").strip().partition("\n")[0]
    worker = f" on {shown(task.worker)}" if task.worker else ""
    when = f" at {clock.second(task.updated_at)}" if task.updated_at else ""
    tries = f"attempt {task.attempt} of {task.max_attempts}"
    return (f"task {task.id}: {tries}{worker}{when}: {shown(first)}", *trouble.facts)


def _of_unfinished(scene: Scene, unfinished: Sequence[Task]) -> Step:
    ours = any(task.managed or scene.take_all for task in unfinished)
    if ours and not any(task.leased for task in unfinished) and (unknown := _unknown_handler(scene)):
        return unknown
    failing = next((task for task in unfinished if task.retry_at is not None), None)
    if failing is not None:
        return _of_failing(scene, failing)
    running = next((task for task in unfinished if task.leased), None)
    if running is None:
        return Step(Link.HANDLER, State.AHEAD, f"{counted(len(unfinished), 'task')} not tried yet")
    return Step(
        Link.HANDLER, State.HOLDS, f"task {running.id} is {running.status}, attempt {running.attempt}"
    )


def _of_failing(scene: Scene, task: Task) -> Step:
    """A failure that may pass by itself: the task waits for its next attempt."""
    [(_, trouble)] = _troubles(scene, [task])
    again = f" at {clock.second(task.retry_at)}" if task.retry_at else ""
    since = [f"failing since {clock.second(task.failing_since)}"] if task.failing_since else []
    return Step(
        Link.HANDLER,
        State.WAITS,
        f"task {task.id} is tried again{again}: {trouble.text}",
        trouble.cause,
        (*_facts(task, trouble), *since),
        retry_command(scene, [task]) if trouble.first is None else None,
        _explained(scene, [(task, trouble)] if trouble.first else [], [task]),
    )


def _of_cancelled(scene: Scene, cancelled: Sequence[Task]) -> Step:
    task, others = cancelled[0], len(cancelled) - 1
    repair = retry_command(scene, cancelled)
    return Step(
        Link.HANDLER,
        State.BROKEN,
        f"task {task.id} was cancelled"
        + (f", and {counted(others, 'other')} of the order" if others else ""),
        "task-cancelled",
        _cancellation(scene, task),
        repair,
        None if repair else "A task can be retried only while its order is paid",
    )


def _cancellation(scene: Scene, task: Task) -> tuple[str, ...]:
    """Return who has cancelled a task, and why."""
    found = audit.search(scene.connection, task.order_id, Search(task_id=task.id), limit=facts.MOST)
    return tuple(told(one) for one in found if one.event_type == EventType.TASK_CANCELLED)[:1]


def _unknown_handler(scene: Scene) -> Step | None:
    name = scene.settings.worker.handler
    try:
        HANDLERS.find(name)
    except Misconfigured as error:
        hint = error.hint or "name another one in the setting worker.handler"
        return Step(
            Link.HANDLER,
            State.BROKEN,
            f"the handler {texts.shown(name)} is not installed here",
            "handler-unknown",
            (str(error),),
            explanation=sentence(f"{hint}; then: orderctl worker start"),
        )
    return None
