"""What a relay knows of revoked tokens, and which clients it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from orderctl.errors import DatabaseUnavailable
from orderctl.relay.access import Access, Unauthorized
from orderctl.relay.revocations import Revocations
from orderctl.revoked_tokens import Revocation
from tests.relay.conftest import play


def row(token_id: str) -> Revocation:
    return Revocation(token_id, None, None, "ana@host")


class Table:
    """A table whose answers the test gives, one for each look; afterwards the watch is cancelled."""

    def __init__(self, *answers: list[Revocation] | Exception) -> None:
        self.answers = list(answers)

    async def read(self, _query: Callable[..., list[Revocation]]) -> list[Revocation]:
        if not self.answers:
            raise asyncio.CancelledError
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def watched(*answers: list[Revocation] | Exception) -> tuple[Revocations, int]:
    """Let a relay look as often as there are answers; return what it knows, and how often it ended clients."""
    known, ends = Revocations(), []

    async def scenario() -> None:
        with pytest.raises(asyncio.CancelledError):
            await known.watch(Table(*answers).read, lambda: len(ends.append(1) or ends), pause=0)

    play(scenario())
    return known, len(ends)


def test_the_last_list_stays_while_the_database_is_away(caplog: pytest.LogCaptureFixture):
    away = DatabaseUnavailable("the database does not answer")
    known, ends = watched(
        [], [row("a")], away, ValueError("odd"), [row("a")], [row("a"), row("b")], [row("b")]
    )

    assert set(known.known) == {"b"}
    assert ends == 2
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == [
        "cannot read which tokens are revoked (the database does not answer); the last list stays in force",
        "the list of revoked tokens can be read again",
    ]
    known.check(Access("x", token_id="a"))
    with pytest.raises(Unauthorized, match="revoked"):
        known.check(Access("x", token_id="b"))


def test_a_relay_that_starts_without_the_database_accepts_tokens_and_says_so(
    caplog: pytest.LogCaptureFixture,
):
    known, ends = watched(DatabaseUnavailable("away"), [row("a")])

    assert "they are accepted until then" in caplog.text
    assert (set(known.known), ends) == ({"a"}, 1)


def test_the_first_clients_wait_for_the_first_look():
    async def scenario():
        known = Revocations()
        waiting = asyncio.ensure_future(known.wait_tried())
        await asyncio.sleep(0)
        waited = not waiting.done()
        watching = asyncio.ensure_future(known.watch(Table([]).read, lambda: 0, pause=60))
        await waiting
        watching.cancel()
        return waited

    assert play(scenario())
