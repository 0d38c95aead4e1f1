"""What the outbox still has: messages that were given up, and those that wait for long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select

from orderctl import database, outgoing, texts
from orderctl.counting import counted
from orderctl.doctor import measures
from orderctl.doctor.checks import Area, Check, Verdict
from orderctl.doctor.surroundings import Surroundings
from orderctl.outbox import EntryKind
from orderctl.outgoing import Filter, Message, Seen
from orderctl.states import MessageState

#: Messages that are looked at; of more it is said that there are more.
_MOST: Final = 1000
#: How long a message may be due before that is named.
_LONG: Final = timedelta(minutes=10)
_MAILS: Final = frozenset({EntryKind.SUMMARY, EntryKind.ALERT})
_HOOKS: Final = frozenset({EntryKind.WEBHOOK})


def examine_mails(around: Surroundings) -> Iterator[Check]:
    """Look for mails that were given up, or wait for long."""
    yield from _examine(around, Area.MAIL, "mail", _MAILS)


def examine_webhooks(around: Surroundings) -> Iterator[Check]:
    """Look for webhooks that were given up, or wait for long."""
    yield from _examine(around, Area.WEBHOOKS, "webhook", _HOOKS)


def _examine(around: Surroundings, area: Area, noun: str, kinds: Collection[EntryKind]) -> Iterator[Check]:
    with around.reading() as connection:
        failed = _choose(connection, MessageState.FAILED, kinds)
        waiting = _choose(connection, MessageState.WAITING, kinds)
        oldest = outgoing.read(connection, [one.id for one in waiting[:1]])
        now = connection.execute(select(database.utc_now())).scalar_one()
    yield _given_up(area, noun, failed)
    yield _waiting(area, noun, waiting, oldest[0] if oldest else None, now)


def _choose(connection: Connection, state: MessageState, kinds: Collection[EntryKind]) -> list[Seen]:
    return outgoing.choose(connection, Filter(states={state}, kinds=kinds), limit=_MOST + 1)


def _given_up(area: Area, noun: str, failed: Sequence[Seen]) -> Check:
    if not failed:
        return Check(area, "given-up", Verdict.WELL, f"no {noun} was given up", value=0, unit="messages")
    selection = f"--failed --kind {','.join(sorted({one.kind for one in failed}))}"
    endpoints = Counter(one.endpoint for one in failed if one.endpoint is not None)
    where = f", most of them to {endpoints.most_common(1)[0][0]}" if endpoints else ""
    return Check(
        area,
        "given-up",
        Verdict.FAULT,
        f"{_number(failed, noun)} given up{where}",
        f"orderctl outbox resend {selection}",
        f"See why before: orderctl outbox list {selection}; orderctl outbox test sends a sample.",
        value=len(failed),
        unit="messages",
    )


def _waiting(area: Area, noun: str, waiting: Sequence[Seen], oldest: Message | None, now: datetime) -> Check:
    since = now if oldest is None or oldest.created_at is None else oldest.created_at
    text = f"{_number(waiting, noun)} to be sent" if waiting else f"no {noun} waits"
    if oldest is None or now - since < _LONG:
        return Check(area, "waiting", Verdict.WELL, text, value=len(waiting), unit="messages")
    text += f", the oldest since {measures.time((now - since).total_seconds())}"
    tried = oldest.attempts > 0
    if tried:
        text += f": tried {counted(oldest.attempts, 'time')}, {texts.legible(oldest.last_error or '', 160)}"
    return Check(
        area,
        "waiting",
        Verdict.WARNING,
        text,
        f"orderctl outbox show {oldest.id}" if tried else "orderctl worker start",
        "It is tried again by itself, 30 times." if tried else "The courier of a supervisor sends them.",
        value=len(waiting),
        unit="messages",
    )


def _number(found: Sequence[Seen], noun: str) -> str:
    if len(found) > _MOST:
        return f"more than {_MOST:,} {noun}s"
    return counted(len(found), noun)
