"""What a relay knows of revoked tokens, and which clients it ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import pytest

from orderctl import revoked_tokens
from orderctl.errors import DatabaseUnavailable
from orderctl.relay.access import Access, Unauthorized
from orderctl.relay.revocations import Revocations
from orderctl.revoked_tokens import Revocation
from tests.relay.conftest import SECRET, Plain, RunningRelay, SocketIo, StartRelay, mint, play
from tests.relay.test_access_of_clients import bearer
from tests.shop import Shop


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


@pytest.mark.databases("sqlite")
def test_a_revocation_ends_every_way_in(start_relay: StartRelay, migrated_url: str, shop: Shop):
    relay: RunningRelay = start_relay(relay_token_secret=SECRET, database_url=migrated_url)
    lost, other = mint("admin"), mint("admin", subject="other")
    token_id = _id(lost)

    async def scenario():
        def clients(token: str):
            return (
                Plain.connect(relay, additional_headers=bearer(token)),
                Plain.connect(relay, additional_headers={"Cookie": f"orderctl_token={token}"}),
                SocketIo.connect(relay, {"token": token}),
                SocketIo.open(relay, additional_headers=bearer(token)),  # it has not connected yet
            )

        ended = [await client for client in clients(lost)]
        stays = await Plain.connect(relay)
        await stays.call("auth", {"token": lost})
        await stays.call("auth", {"token": other})
        before = await asyncio.to_thread(relay.ask, "/api/session", **bearer(lost))
        began = time.monotonic()
        with shop.engine.begin() as connection:
            revoked_tokens.revoke(connection, token_id, expires=time.time() + 60, actor="ana@host")
        codes = [await client.closed() for client in ended]
        took = time.monotonic() - began
        again = await Plain.connect(relay)
        return before, codes, took, await again.call("auth", {"token": lost}), await stays.subscribe(task=1)

    before, codes, took, again, stays = play(scenario())
    api = relay.ask("/api/admin/orders/paid", **bearer(lost))
    cookie = relay.ask("/api/session", Cookie=f"orderctl_token={lost}")

    assert before.status == 200
    assert codes == [4401] * 4
    assert took < 30  # 2 s, on a machine that is not busy
    assert again["error"] == "the token has been revoked"
    assert stays["event"] == "ack"
    assert (api.status, cookie.status) == (401, 401)
    assert api.json == {**api.json, "error": "the token has been revoked", "data": []}
    assert relay.ask("/api/session", **bearer(other)).status == 200


def _id(token: str) -> str:
    from orderctl.relay import tokens

    return tokens.read(SECRET, token).id


def test_the_end_of_a_session_ends_its_connections(start_relay: StartRelay):
    relay = start_relay(relay_token_secret=SECRET)
    action = {"X_Orderctl_Action": "session"}
    first, lesser = mint("admin"), mint("order:1")

    async def scenario():
        def cookie(token: str) -> dict[str, str]:
            return {"Cookie": f"orderctl_token={token}"}

        def post(path: str, **headers: str):
            return asyncio.to_thread(relay.ask, path, "POST", **action, **headers)

        other = await Plain.connect(relay, additional_headers=bearer(first))
        old = await Plain.connect(relay, additional_headers=cookie(first))
        await post("/api/session", **bearer(lesser), **cookie(first))
        replaced = await old.closed()
        new = await Plain.connect(relay, additional_headers=cookie(lesser))
        await post("/api/session", **bearer(lesser), **cookie(lesser))  # the same again
        allowed = await new.subscribe(order=2)
        await post("/api/session/end", **cookie(lesser))
        return replaced, allowed["event"], await new.closed(), (await other.subscribe(order=2))["event"]

    assert play(scenario()) == (1012, "error", 4401, "ack")
