"""What a viewer's token shows and allows: everything is read, but no address of a customer's, unless allowed."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from orderctl import channels
from orderctl.channels import Channel, Scope
from orderctl.payments.transfer import Transfer
from orderctl.relay.access import Access
from orderctl.relay.api import endpoints
from orderctl.relay.api.endpoints import Endpoints
from orderctl.relay.web import Reply, Request
from orderctl.states import ErrorType, Severity
from tests.relay.conftest import SECRET, Answer, Plain, RunningRelay, SocketIo, StartRelay, mint, play
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")

CANARY = "canary.bird@aviary.example"
#: Each in its own case: the host, the name, and the name URL-encoded.
TRACES = re.compile(r"canary|aviary", re.IGNORECASE)
PAYLOADS = {
    "progress": {"percent": 42, "currentFile": f"for {CANARY}.zip", "speed": 1.0},
    "status": {"newStatus": "failed", "previousStatus": "downloading", "error": f"no account {CANARY}"},
    "complete": {"totalTasks": 1, "completedTasks": 1, "failedTasks": 0},
}


@pytest.fixture
def relay(start_relay: StartRelay, migrated_url: str) -> RunningRelay:
    return start_relay("--allow-actions", relay_token_secret=SECRET, database_url=migrated_url)


@pytest.fixture
def task(shop: Shop) -> int:
    """A failed task, whose order's address stands wherever one can stand."""
    url = f"https://courses.example/u/{CANARY.replace('@', '%40')}/a.zip"
    [task] = shop.paid("DH1", [url], email=CANARY)
    order_id = shop.order("DH1").id
    shop.fail(task, ErrorType.AUTHENTICATION, f"no account {CANARY}")
    shop.execute("UPDATE download_tasks SET title = :title", title=f"Course of {CANARY.upper()}")
    details = {"recipient": CANARY, "nested": [{CANARY: [CANARY]}]}
    shop.record(order_id, "mail", Severity.ERROR, message=f"to <{CANARY}>", details=details, actor=CANARY)
    shop.receive(
        Transfer(
            "casso", Decimal(5), provider_id="1", content=f"from {CANARY}", account=CANARY, reference=CANARY
        )
    )
    return task


def ask(relay: RunningRelay, path: str, *scopes: str, method: str = "GET") -> Answer:
    return relay.ask(path, method, Authorization=f"Bearer {mint(*scopes)}", X_Orderctl_Action="1")


def every_path(order_id: int, task_id: int) -> list[str]:
    """Return each path to read that the module of the endpoints lists, so that a new one is asked, too."""
    listed = re.findall(r"^    GET  (\S+)", str(endpoints.__doc__), re.MULTILINE)
    assert len(listed) >= 7
    ids = {"orders": order_id, "tasks": task_id}
    paths = [re.sub(r"(\w+)/\{\w+\}", lambda found: f"{found[1]}/{ids[found[1]]}", path) for path in listed]
    return [*paths, f"{paths[0]}?search=DH1", "/api/admin/orders/999", "/metrics", "/"]


def test_no_endpoint_shows_an_address_to_a_viewer_and_each_shows_it_with_the_right(
    relay: RunningRelay, shop: Shop, task: int
):
    shown = set()
    for path in every_path(shop.order("DH1").id, task):
        hidden, whole = ask(relay, path, "viewer"), ask(relay, path, "viewer", "emails")
        assert (path, hidden.status) == (path, whole.status)
        assert TRACES.search(hidden.body.decode()) is None, path
        if TRACES.search(whole.body.decode()):
            shown.add(path.rpartition("/")[2])
        assert whole.body == ask(relay, path, "admin").body or path in {"/metrics", "/api/session"}

    assert {"paid", "logs", "payments", "errors", "1"} <= shown


def test_a_viewer_does_not_find_orders_by_their_address(relay: RunningRelay, task: int):
    def found(part: str, *scopes: str) -> list[Any]:
        return ask(relay, f"/api/admin/orders/paid?search={part}", *scopes).json["data"]

    assert found("canary", "viewer") == found("aviary.example", "viewer") == []
    assert [order["user_email"] for order in found("dh1", "viewer")] == ["***"]
    assert [order["user_email"] for order in found("canary", "viewer", "emails")] == [CANARY]


def test_no_live_event_shows_an_address_to_a_viewer(relay: RunningRelay, store: redis.Redis):
    """Each kind of message, live and as a snapshot, for both kinds of clients, beside one that sees it whole."""

    async def hear(scope: Scope, kind: str, *, kept: bool) -> list[str]:
        channel = Channel(scope, 7, channels.MessageKind(kind))
        data = {
            channels.id_name(scope): 7,
            "timestamp": 1,
            **PAYLOADS[kind],
            "customer": CANARY,
            "userEmail": "x",
        }
        if kept:
            store.set(str(channel), json.dumps(data))
        heard = []
        for scopes in (("viewer",), ("viewer", "emails")):
            auth = {"Authorization": f"Bearer {mint(*scopes)}"}
            plain = await Plain.connect(relay, additional_headers=auth)
            other = await SocketIo.connect(relay, additional_headers=auth)
            for client in (plain, other):
                await client.subscribe(**{str(scope): 7})
            if not kept:
                store.publish(str(channel), json.dumps(data))
            heard += [json.dumps(await plain.hear()), await other.packet()]
            await plain.socket.close()
            await other.socket.close()
        store.delete(str(channel))
        return heard

    async def scenario() -> list[list[str]]:
        return [
            await hear(scope, kind, kept=kept)
            for scope, kinds in channels.KINDS.items()
            for kind in kinds
            for kept in (False, True)
        ]

    for hidden, hidden_too, whole, whole_too in play(scenario()):
        assert "***" in hidden
        assert "***" in hidden_too
        assert TRACES.search(hidden + hidden_too) is None
        assert CANARY in whole
        assert CANARY in whole_too


def test_a_client_that_gets_a_lesser_token_hears_no_address_from_then_on(
    relay: RunningRelay, store: redis.Redis
):
    async def scenario() -> list[Any]:
        client = await Plain.connect(relay)
        heard = []
        for scopes in (["admin"], ["viewer"], ["viewer", "emails"]):
            await client.call("auth", {"token": mint(*scopes)})
            if len(heard) == 0:
                await client.subscribe(task=7)
            store.publish("task:7:progress", json.dumps({"taskId": 7, **PAYLOADS["progress"]}))
            heard.append((await client.hear())["data"]["data"]["currentFile"])
        return heard

    assert play(scenario()) == [f"for {CANARY}.zip", "for ***", f"for {CANARY}.zip"]


#: Scopes, and which actions they allow.
RIGHTS = {
    ("admin",): ["retry", "cancel"],
    ("viewer",): [],
    ("viewer", "emails"): [],
    ("viewer", "action:retry"): ["retry"],
    ("viewer", "action:cancel"): ["cancel"],
}


def test_a_right_is_needed_for_each_action(relay: RunningRelay, shop: Shop):
    for number, (scopes, allowed) in enumerate(RIGHTS.items()):
        [task] = shop.paid(f"DH{number}")
        shop.fail(task)
        session = ask(relay, "/api/session", *scopes).json["data"]

        assert (session["allowed"], session["actions"]) == (allowed, bool(allowed))
        assert (session["admin"], session["reads"]) == ("admin" in scopes, True)
        assert session["emails"] is bool({"admin", "emails"} & set(scopes))
        for action in ("retry", "cancel"):
            answer = ask(relay, f"/api/admin/tasks/{task}/{action}", *scopes, method="POST")
            said = (answer.status, answer.json.get("error"))
            wanted = (200, None) if action in allowed else (403, f"the token lacks the right action:{action}")
            assert (scopes, said) == (scopes, wanted)
        if "retry" in allowed:
            assert shop.event(f"DH{number}", "task_retried").actor == "tester"


def test_a_relay_without_actions_allows_none(start_relay: StartRelay, migrated_url: str, task: int):
    relay = start_relay(relay_token_secret=SECRET, database_url=migrated_url)

    session = ask(relay, "/api/session", "admin").json["data"]
    answer = ask(relay, f"/api/admin/tasks/{task}/retry", "admin", method="POST")

    assert (session["actions"], session["allowed"]) == (False, [])
    assert (answer.status, "--allow-actions" in answer.json["error"]) == (403, True)


def test_addresses_are_hidden_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch):
    """A page of 200 orders takes a while, and all other clients wait for the loop."""
    used: list[threading.Thread] = []

    def discreet(reply: Reply) -> Reply:
        used.append(threading.current_thread())
        return reply

    monkeypatch.setattr(endpoints, "discreet", discreet)
    nothing: Any = SimpleNamespace(read=None, run=None)
    answers = Endpoints(nothing, nothing, None, nothing, secure=True, currency="VND")

    asyncio.run(answers.answer(Request("GET", "/api/admin/none"), Access("on-call", viewer=True)))

    assert len(used) == 1
    assert used[0] is not threading.main_thread()
