"""The link ``relay``: dashboards see the order live. A relay is optional: none is no fault."""

from __future__ import annotations

from typing import Final

import redis

from orderctl import audit, channels, clock, messages, publications, relay_signs
from orderctl.audit import Search
from orderctl.counting import counted
from orderctl.errors import Misconfigured, OrderctlError
from orderctl.messages import Data
from orderctl.states import EventType, TaskStatus
from orderctl.tasks import Task
from orderctl.why import word_out
from orderctl.why.chain import Link, State, Step
from orderctl.why.handling import shown
from orderctl.why.scene import Scene

#: Running tasks whose last message is looked at, and names of relays that are told.
_MOST: Final = 20
#: How long a task that runs may be without a message, in seconds, beside the pause between two of them.
_PATIENCE: Final = 60.0
#: How long after its begin a download may be without a message, in seconds.
_MOMENT: Final = 10.0


def relay(scene: Scene) -> Step:
    """Return whether dashboards see the order live."""
    if (told := word_out.completion(scene)) is not None:
        return told
    try:
        client = scene.redis
        if client is None:
            return Step(Link.RELAY, State.HOLDS, "no relay is running; a relay is optional")
        return _silence(scene, client) or _of_relays(client)
    except Misconfigured as error:
        text = f"relays cannot be looked for: {error}"
        return Step(Link.RELAY, State.UNKNOWN, text, "redis-rights", explanation=error.hint)
    except OrderctlError as error:
        return Step(
            Link.RELAY,
            State.UNKNOWN,
            f"relays get nothing from Redis, and show what the database knows: {error}",
            "relay-without-redis",
            explanation=error.hint,
        )


def _silence(scene: Scene, client: redis.Redis) -> Step | None:
    """Return what is wrong with the last message of a task that runs; None: nothing."""
    running = [task for task in scene.asked if task.leased and task.status == TaskStatus.DOWNLOADING][:_MOST]
    found = publications.snapshots(client, [channels.task_progress(task.id) for task in running])
    steps = (_of_message(scene, task, found.get(channels.task_progress(task.id))) for task in running)
    return next((step for step in steps if step is not None), None)


def _of_message(scene: Scene, task: Task, message: Data | None) -> Step | None:
    name, attempt = channels.task_progress(task.id), f"attempt {task.attempt} on {shown(task.worker)}"
    of = None if message is None else message.get("attempt")
    if message is None or (isinstance(of, int) and of < task.attempt):
        if _has_just_begun(scene, task):
            return None
        said = "no message" if message is None else f"the last message is of attempt {of}"
        return Step(
            Link.RELAY,
            State.BROKEN,
            f"task {task.id} is downloading, and its progress does not come",
            "no-progress",
            (f"{name}: {said}; {attempt}",),
            explanation="Its worker does not reach this Redis, or may not write to it (orderctl config check says"
            " which rights are missing); the download goes on, and its end is not lost",
        )
    age = scene.now.timestamp() - messages.sent_at(message) / 1000
    if age <= scene.settings.download.timeout_seconds + scene.settings.progress.interval_seconds + _PATIENCE:
        return None
    return Step(
        Link.RELAY,
        State.WAITS,
        f"task {task.id} is downloading, without a message for {age / 60:.0f} min",
        "silent",
        (f"{name}: the last message is {age:.0f} s old; {attempt}",),
        explanation="Its worker is alive; if the handler hangs:"
        f" orderctl tasks cancel {task.id} && orderctl tasks retry {task.id}",
    )


def _has_just_begun(scene: Scene, task: Task) -> bool:
    """Whether the download began a moment ago. A heartbeat changes the time of the row."""
    found = audit.search(scene.connection, task.order_id, Search(task_id=task.id), limit=_MOST)
    begun = next(
        (event.created_at for event in found if event.event_type == EventType.DOWNLOAD_STARTED), None
    )
    return begun is not None and (scene.now - begun).total_seconds() < _MOMENT


def _of_relays(client: redis.Redis) -> Step:
    signs = relay_signs.find_all(client)
    lost = relay_signs.find_lost(client, {sign.name for sign in signs})
    facts = tuple(f"relay {shown(name)}: its last sign is of {clock.second(seen)}" for name, seen in lost)
    if signs:
        clients = counted(sum(sign.connections for sign in signs), "connection")
        return Step(
            Link.RELAY, State.HOLDS, f"{counted(len(signs), 'relay')} running, {clients}", evidence=facts
        )
    if not lost:
        return Step(Link.RELAY, State.HOLDS, "no relay is running; a relay is optional")
    return Step(
        Link.RELAY,
        State.BROKEN,
        relay_signs.said_of_lost(len(lost)),
        "relay-lost",
        facts,
        "orderctl relay start",
    )
