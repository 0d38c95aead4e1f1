"""Webhooks: what they contain, how they are signed, and when they are sent again."""

import base64
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from orderctl import webhook_endpoints
from orderctl.schema import outbox as outbox_table
from orderctl.settings import load
from orderctl.states import ErrorType
from orderctl.webhook_endpoints import Endpoint
from orderctl.worker import webhook
from orderctl.worker.webhook import WebhookRefused
from tests.faults.world import World
from tests.servers.process import free_port
from tests.worker.conftest import Hook, ended_order, make_due, send

SECRET = "between us, and not to be guessed"

pytestmark = pytest.mark.databases("sqlite")


def test_webhook_is_signed(world: World, hook: Hook) -> None:
    world.more["ORDERCTL_NOTIFY_WEBHOOK_SECRET"] = SECRET
    order_id = ended_order(world)

    send(world)

    [(headers, body)] = hook.requests
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Orderctl-Signature"] == f"sha256={signature}"
    assert headers["Content-Type"] == "application/json"
    told = json.loads(body)
    assert (told["event"], told["orderId"], told["completedTasks"]) == ("order_completed", order_id, 1)


def test_webhook_without_a_secret_has_no_signature(world: World, hook: Hook) -> None:
    ended_order(world)

    send(world)

    [(headers, _)] = hook.requests
    assert "X-Orderctl-Signature" not in headers


@pytest.mark.parametrize("status", [500, 404, 302])
def test_webhook_is_tried_again_later_and_later(world: World, hook: Hook, status: int) -> None:
    hook.status, hook.location = status, (hook.url if status == 302 else "")
    ended_order(world)
    pauses = []
    for _ in range(4):
        before = world.shop.now()
        send(world)
        after = world.shop.now()
        [entry] = [row for row in world.shop.outbox() if row.kind == "webhook"]
        assert entry.sent_at is None
        assert str(status) in entry.last_error
        pauses.append(((entry.due_at - before).total_seconds(), (entry.due_at - after).total_seconds()))
        make_due(world)
    for tries, (at_least, at_most) in enumerate(pauses, 1):
        assert 0.5 * 2**tries <= at_least
        assert at_most <= 2**tries

    hook.status, hook.location = 204, ""
    send(world)

    assert len(hook.requests) == 5
    assert len({headers["X-Orderctl-Delivery"] for headers, _ in hook.requests}) == 1
    assert len({body for _, body in hook.requests}) == 1
    assert all(row.sent_at is not None for row in world.shop.outbox())


@pytest.mark.parametrize(
    ("given", "target"),
    [
        ("http://{}/hook/", "/hook/"),
        ("http://{}/hook//", "/hook//"),
        ("http://{}", "/"),
        ("http://{}/", "/"),
        ("http://{}?a=b", "/?a=b"),
        ("http://{}/h?a=b/&c=%2F", "/h?a=b/&c=%2F"),
        ("http://{}/h;v=1/../x/./%7e?#top", "/h;v=1/../x/./%7e"),
        ("HTTP://{}/Ü b?ü=ö c", "/%C3%9C%20b?%C3%BC=%C3%B6%20c"),
        (" http://{}/h \n", "/h"),
    ],
)
def test_url_is_posted_as_it_was_given(receiver_alone: Hook, given: str, target: str) -> None:
    settings = load(environ={"ORDERCTL_NOTIFY_WEBHOOK_URL": given.format(receiver_alone.authority)})

    webhook.post(webhook_endpoints.of(settings.notify)[0], {}, "key")

    assert receiver_alone.targets == [target]
    [(headers, _)] = receiver_alone.requests
    assert headers["Host"] == receiver_alone.authority
    assert "Authorization" not in headers


def test_user_and_password_of_the_url_are_sent_as_basic_authentication(receiver_alone: Hook) -> None:
    webhook.post(Endpoint("crm", f"http://sh%40p:p%3Aa%C3%BC@{receiver_alone.authority}/"), {}, "key")

    [(headers, _)] = receiver_alone.requests
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode() == "sh@p:p:aü"
    assert "@" not in headers["Host"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed_and_says_so(receiver_alone: Hook, status: int) -> None:
    receiver_alone.status, receiver_alone.location = status, f"http://other.example/{'path'}?token=geheim"

    with pytest.raises(WebhookRefused, match="which is not followed") as raised:
        webhook.post(Endpoint("crm", receiver_alone.url), {}, "key")

    assert len(receiver_alone.requests) == 1
    assert "http://other.example/..." in str(raised.value)
    assert "geheim" not in str(raised.value)


def test_webhook_that_is_gone_is_given_up_at_once_with_an_event(world: World, hook: Hook) -> None:
    hook.status = 410
    order_id = ended_order(world)

    report = send(world)

    event = world.shop.event(order_id, "webhook_failed")
    assert any(":webhook" in key for key in report.dropped)
    assert (event.event_category, event.severity, event.source) == ("system", "error", "orderctl_worker")
    assert "HTTP 410" in event.message
    assert event.details == {
        "kind": "webhook",
        "event": "order_completed",
        "endpoint": "webhook",
        "url": f"http://{hook.authority}/...",
        "status": 410,
        "attempts": 1,
        "error": event.details["error"],
    }
    assert send(world).sent == []


@pytest.mark.parametrize(
    ("status", "said"), [(500, "HTTP 500"), (404, "HTTP 404"), (302, "not followed"), (None, "refused")]
)
def test_webhook_that_is_given_up_leaves_an_event(
    world: World, hook: Hook, status: int | None, said: str
) -> None:
    if status is None:
        world.more["ORDERCTL_NOTIFY_WEBHOOK_URL"] = (
            f"http://u:geheim@127.0.0.1:{free_port()}/T/geheim?k=geheim"
        )
    else:
        hook.status, hook.location = status, hook.url
    task_id = world.shop.paid("DH1")[0]
    world.shop.fail(task_id, ErrorType.UNKNOWN)
    send(world)  # the event is addressed, and tried once
    hook.requests.clear()
    make_due(world)
    world.shop.transact(lambda c: c.execute(outbox_table.update().values(attempts=29)))

    send(world)

    told = [event for event in world.shop.events("DH1") if event.event_type == "webhook_failed"]
    assert [(event.details["event"], event.task_id) for event in told] == [
        ("task_failed", task_id),
        ("order_failed", None),
    ]
    for event in told:
        assert said in event.message
        assert (event.details["status"], event.details["attempts"]) == (status, 30)
        assert "geheim" not in f"{event.message}{event.details}"


@pytest.mark.parametrize(
    ("status", "value", "low", "high"),
    [(429, "120", 115, 120), (503, "99999999", 3595, 3600), (503, "0", 0, 2), (429, "soon", 0, 2)],
)
def test_retry_after_is_honoured_up_to_an_hour(
    world: World, hook: Hook, status: int, value: str, low: int, high: int
) -> None:
    hook.status, hook.more = status, {"Retry-After": value}
    ended_order(world)

    send(world)

    [entry] = [row for row in world.shop.outbox() if row.kind == "webhook"]
    assert low <= (entry.due_at - world.shop.now()).total_seconds() <= high


def test_webhook_url_that_answers_no_http_is_put_off(world: World) -> None:
    def answer() -> None:
        client, _ = server.accept()
        with client:
            client.recv(10_000)
            client.sendall(b"SSH-2.0-OpenSSH\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        world.more["ORDERCTL_NOTIFY_WEBHOOK_URL"] = f"http://127.0.0.1:{server.getsockname()[1]}/"
        thread = threading.Thread(target=answer)
        thread.start()
        ended_order(world)
        report = send(world)
        thread.join()

    assert any(":webhook" in key for key in report.postponed)


@contextmanager
def receiver_that_says(said: bytes) -> Iterator[str]:
    """Answer one delivery of an empty object; yields the URL."""

    def answer() -> None:
        client, _ = server.accept()
        with client, suppress(OSError):
            got = b""
            while not got.endswith(b"\r\n\r\n{}"):
                got += client.recv(10_000)
            client.sendall(said)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        thread.join()


def test_answer_that_is_cut_in_its_head_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """What had come until then counted as the whole head: a 200 whose headers came byte by byte was a success."""
    monkeypatch.setattr(webhook, "_DEADLINE", 0.3)

    def answer() -> None:
        client, _ = server.accept()
        with client:
            client.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: 1")
            while client.recv(10_000):
                pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(WebhookRefused, match=r"the answer was not complete within 0\.3 s"):
            webhook.post(Endpoint("crm", f"http://127.0.0.1:{server.getsockname()[1]}/"), {}, "key")
        thread.join()


_EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\nRetry-After: 9\r\n\r\n"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (_EARLY + b"HTTP/1.1 204 No Content\r\n\r\n", None),
        (_EARLY * 3 + b"HTTP/1.1 200 OK\r\n\r\n", None),
        (b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 503 Busy\r\nRetry-After: 7\r\n\r\n", 503),
        (b"HTTP/1.1 200 OK\r\nno header\r\n\r\n", None),
        (b"HTTP/1.1 429 Hm\nno header\nRetry-After: 7\n\n", 429),
    ],
)
def test_answer_is_read_as_servers_write_it(said: bytes, status: int | None) -> None:
    with receiver_that_says(said) as url:
        if status is None:
            webhook.post(Endpoint("crm", url), {}, "key")
            return
        with pytest.raises(WebhookRefused) as raised:
            webhook.post(Endpoint("crm", url), {}, "key")

    assert (raised.value.status, raised.value.retry_after) == (status, 7)


_NO_HTTP = "the response is not valid HTTP"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"", "the receiver closed the connection without an answer"),
        (b"HTTP/1.1 103 Hm\r\n\r\n", f"{_NO_HTTP} (it has no status)"),
        (b"\x15\x03\x03", f"{_NO_HTTP} (it has no status)"),
        (_EARLY * 10_000, f"{_NO_HTTP} (its head is too long)"),
        (b"a" * 10**6, f"{_NO_HTTP} (it has a line that is too long)"),
    ],
    ids=["nothing", "interim", "other", "long", "line"],
)
def test_what_is_no_answer_is_tried_again(said: bytes, reason: str) -> None:
    with receiver_that_says(said) as url, pytest.raises(WebhookRefused) as raised:
        webhook.post(Endpoint("crm", url), {}, "key")

    assert str(raised.value) == f"{url}...: {reason}"
    assert (raised.value.status, raised.value.is_final) == (None, False)


def test_silence_is_named_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "_TIMEOUT", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(WebhookRefused, match=r": no answer within 0\.2 s\Z"),
    ):
        webhook.post(Endpoint("crm", f"http://127.0.0.1:{server.getsockname()[1]}/"), {}, "key")
