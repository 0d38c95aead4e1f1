"""The links ``mail`` and ``webhook``: people and the shop's programs have been told of the order's end, and of failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select

from orderctl import clock, webhook_endpoints
from orderctl.counting import counted
from orderctl.outbox import EntryKind
from orderctl.outgoing import Message
from orderctl.schema import outbox as table
from orderctl.states import MessageState
from orderctl.why import refusals
from orderctl.why.chain import Link, State, Step
from orderctl.why.handling import sentence, shown
from orderctl.why.scene import Scene

_MAILS: Final = (EntryKind.SUMMARY, EntryKind.ALERT)
#: Messages that are told one by one.
_MOST: Final = 10
#: How long a courier that runs may leave a message that is due, in seconds.
_LATE_SECONDS: Final = 60
#: What became of a message, by the link that it belongs to.
_SKIPPED: Final = {Link.MAIL: "mail-skipped", Link.WEBHOOK: "webhook-skipped"}
_GIVEN_UP: Final = {
    Link.MAIL: "mail-given-up",
    Link.WEBHOOK: "webhook-given-up",
    Link.RELAY: "completion-refused",
}
_RETRY: Final = {Link.MAIL: "mail-retry", Link.WEBHOOK: "webhook-retry", Link.RELAY: "completion-refused"}
#: What says most of several messages: what was given up, then what waits.
_TELLING: Final = (State.BROKEN, State.UNKNOWN, State.WAITS)


def mail(scene: Scene) -> Step:
    """Return whether the customer and the admins have been told."""
    is_set_up = scene.settings.mail.url is not None
    return _look(scene, Link.MAIL, _MAILS, None if is_set_up else "mail.url is not set: no mails are sent")


def webhook(scene: Scene) -> Step:
    """Return whether the shop's programs have been told."""
    is_set_up = bool(webhook_endpoints.of(scene.settings.notify))
    return _look(scene, Link.WEBHOOK, (EntryKind.WEBHOOK,), None if is_set_up else "no webhook is set up")


def completion(scene: Scene) -> Step | None:
    """Return what is wrong with the message that tells dashboards of the end; None: nothing."""
    found = [_of(scene, Link.RELAY, one, its) for one, its in _messages(scene, (EntryKind.COMPLETION,))]
    return _first(found)


@dataclass(frozen=True, slots=True)
class _Held:
    """What the row of a message that waits says beside what a message shows."""

    until: datetime | None = None


def _look(scene: Scene, link: Link, kinds: Sequence[str], not_set_up: str | None) -> Step:
    if scene.order is None:
        return Step(link, State.AHEAD, "there is no order to tell of")
    messages = _messages(scene, kinds)
    steps = [_of(scene, link, message, held) for message, held in messages]
    if not_set_up is not None and not any(step.cause == "endpoint-removed" for step in steps):
        return Step(link, State.HOLDS, not_set_up)
    if (first := _first(steps)) is not None:
        return _with_all(first, [step for step in steps if step.state in _TELLING])
    if not scene.has_ended:
        return Step(link, State.AHEAD, "there is nothing to tell yet")
    if not messages:
        return Step(link, State.HOLDS, "orderctl has not ended this order, so it sends nothing")
    return steps[0] if len(steps) == 1 else Step(link, State.HOLDS, _sum(messages))


def _first(steps: Sequence[Step]) -> Step | None:
    return next((step for state in _TELLING for step in steps if step.state is state), None)


def _with_all(first: Step, others: Sequence[Step]) -> Step:
    """Return the first of several steps with the evidence of all."""
    lines = tuple(dict.fromkeys(line for step in (first, *others) for line in step.evidence))
    return Step(
        first.link, first.state, first.text, first.cause, lines[:_MOST], first.repair, first.explanation
    )


def _sum(messages: Sequence[tuple[Message, _Held]]) -> str:
    sent = sum(message.state == MessageState.SENT for message, _ in messages)
    skipped = len(messages) - sent
    return f"{sent} sent" + (f", {skipped} skipped" if skipped else "")


def _messages(scene: Scene, kinds: Sequence[str]) -> list[tuple[Message, _Held]]:
    """Return the messages of the kinds, newest first."""
    if scene.order is None:
        return []
    found = [one for one in scene.messages if one.kind in kinds]
    if scene.task is not None:
        found = [one for one in found if one.task_id in {None, scene.task.id}]
    held = _held(scene, [one.id for one in found if one.state == MessageState.WAITING])
    return [(one, held.get(one.id, _Held())) for one in found]


def _held(scene: Scene, ids: Sequence[int]) -> Mapping[int, _Held]:
    if not ids:
        return {}
    query = select(table.c.id, table.c.lease_until).where(
        table.c.id.in_(ids), table.c.lease_token.is_not(None)
    )
    return {row.id: _Held(row.lease_until) for row in scene.connection.execute(query)}


def _of(scene: Scene, link: Link, message: Message, held: _Held) -> Step:
    if message.state == MessageState.SENT:
        when = f" at {clock.second(message.sent_at)}" if message.sent_at else ""
        return Step(link, State.HOLDS, f"message {message.id} was sent{when}")
    if message.state == MessageState.SKIPPED:
        return _of_skipped(scene, link, message)
    if message.state == MessageState.FAILED:
        return _of_given_up(scene, link, message)
    return _of_waiting(scene, link, message, held)


def _explained(message: Message, refusal: refusals.Refusal) -> str | None:
    if refusal.first:
        return sentence(f"{refusal.first}; then: {_resend(message)}")
    return sentence(refusal.advice) if refusal.advice else None


def _resend(message: Message) -> str:
    return f"orderctl outbox resend {message.id}"


def _of_skipped(scene: Scene, link: Link, message: Message) -> Step:
    """A message that was not sent because nobody was to get it; someone may be now."""
    said = shown(message.last_error)
    if not refusals.has_receiver(scene.settings, message):
        return Step(link, State.HOLDS, f"message {message.id} was not sent: {said}")
    text = f"message {message.id} was not sent ({said}), and now it would be"
    return Step(link, State.BROKEN, text, _SKIPPED.get(link), (_fact(message),), _resend(message))


def _of_given_up(scene: Scene, link: Link, message: Message) -> Step:
    refusal = refusals.of(scene.settings, message)
    again = None if refusal.first else _resend(message)
    return Step(
        link,
        State.BROKEN,
        f"message {message.id} was given up: {refusal.text}",
        refusal.cause or _GIVEN_UP[link],
        (_fact(message),),
        again,
        _explained(message, refusal),
    )


def _of_waiting(scene: Scene, link: Link, message: Message, held: _Held) -> Step:
    refusal = refusals.of(scene.settings, message)
    if message.kind == EntryKind.WEBHOOK and refusal.cause == "endpoint-removed":
        why = sentence(refusal.first or refusal.text)
        return Step(link, State.BROKEN, refusal.text, refusal.cause, (_fact(message),), None, why)
    if message.due_at is not None and message.due_at > scene.now:
        return _of_tried(link, message, refusal)
    return _of_due(scene, link, message, held)


def _of_due(scene: Scene, link: Link, message: Message, held: _Held) -> Step:
    alive = scene.sight.alive
    if alive is None:
        text = f"message {message.id} is due; whether a courier runs is not known"
        return Step(link, State.UNKNOWN, text, None, (_fact(message),), _hint(scene))
    if held.until is not None and held.until > scene.now:
        return _of_held(scene, link, message, held.until, alive)
    if not alive:
        text = f"message {message.id} is due, and no courier runs: it is a part of the workers"
        explained = "To send once what is due: orderctl reconcile"
        return Step(
            link, State.BROKEN, text, "no-courier", (_fact(message),), "orderctl worker start", explained
        )
    late = (scene.now - message.due_at).total_seconds() if message.due_at else 0.0
    if late <= _LATE_SECONDS:
        return Step(
            link, State.WAITS, f"message {message.id} is sent in a moment", "sending", (_fact(message),)
        )
    text = (
        f"message {message.id} is due for {late / 60:.0f} min, though {counted(len(alive), 'supervisor')} run"
    )
    explained = "The courier has many to send, or hangs: its log says so"
    return Step(link, State.BROKEN, text, "courier-late", (_fact(message),), "orderctl reconcile", explained)


def _hint(scene: Scene) -> str | None:
    crew = scene.sight.crew
    return getattr(crew, "hint", None)


def _of_tried(link: Link, message: Message, refusal: refusals.Refusal) -> Step:
    """A message that waits for its next try; where a setting is wrong, it waits in vain."""
    when = clock.second(message.due_at) if message.due_at else "soon"
    state = State.BROKEN if refusal.first or refusal.advice else State.WAITS
    text = f"message {message.id} is tried again at {when}"
    return Step(
        link,
        state if message.last_error else State.WAITS,
        f"{text}: {refusal.text}" if message.last_error else text,
        refusal.cause or _RETRY[link],
        (_fact(message),),
        None if refusal.first else _resend(message),
        _explained(message, refusal),
    )


def _of_held(scene: Scene, link: Link, message: Message, until: datetime, alive: frozenset[str]) -> Step:
    if alive:
        text = f"a courier is sending message {message.id}"
        return Step(link, State.WAITS, text, "sending", (_fact(message),))
    seconds = max(1, round((until - scene.now).total_seconds()))
    text = f"the courier that was sending message {message.id} has ended"
    fact = f"another courier may take it in {seconds} s"
    return Step(link, State.BROKEN, text, "courier-lost", (_fact(message), fact), "orderctl worker start")


def _fact(message: Message) -> str:
    to = f" to {shown(message.receiver)}" if message.receiver else ""
    when = message.failed_at or message.due_at
    at = f", {'given up' if message.failed_at else 'due'} at {clock.second(when)}" if when else ""
    said = f": {shown(message.last_error)}" if message.last_error else ""
    tries = counted(message.attempts, "try", "tries")
    return f"message {message.id} ({message.kind}{to}): {message.state} after {tries}{at}{said}"
