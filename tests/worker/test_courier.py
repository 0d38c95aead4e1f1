"""Mails and webhooks: their contents, and that they are sent once although servers misbehave."""

import email
import hashlib
import hmac
import json
import logging
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from sqlalchemy import func, select, update

from orderctl import clock, database, orders, outbox
from orderctl.orders import NewCourse
from orderctl.outbox import EntryKind
from orderctl.schema import download_tasks, order_audit_logs
from orderctl.schema import outbox as outbox_table
from orderctl.settings import Mail, Notify
from orderctl.states import ErrorType
from orderctl.worker import courier
from orderctl.worker.courier import SendReport
from tests.faults.world import World
from tests.servers.process import free_port
from tests.waiting import eventually

pytestmark = pytest.mark.databases("sqlite")


class Office:
    """A mail server. ``after_data`` may cut the connection; ``refuse`` answers a recipient."""

    def __init__(self, host: str = "127.0.0.1", **more: Any) -> None:
        self.letters: list[EmailMessage] = []
        self.raw: list[bytes] = []
        self.logins: list[bytes] = []
        self.rude = 0  # number of connections to cut after DATA
        self.accepts_first = False  # whether a mail is accepted before the connection is cut
        self.refuse = ""
        self.host = host
        self._controller = Controller(self, hostname=host, port=free_port(), **more)
        self._controller.start()

    def close(self) -> None:
        self._controller.stop()

    @property
    def address(self) -> str:
        return f"{self.host}:{self._controller.port}"

    async def handle_RCPT(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        if self.rude:
            self.rude -= 1
            if self.accepts_first:
                self._keep(envelope)
            server.transport.abort()
            return "451 never heard"
        self._keep(envelope)
        return "250 OK"

    def _keep(self, envelope: Any) -> None:
        self.raw.append(envelope.content)
        self.letters.append(email.message_from_bytes(envelope.content, policy=default))  # type: ignore[arg-type]

    def authenticate(
        self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.password)
        return AuthResult(success=True)


@pytest.fixture
def office() -> Iterator[Office]:
    yield (office := Office())
    office.close()


@pytest.fixture
def posted(world: World, office: Office) -> World:
    """A world whose mails go to ``office``, without a webhook."""
    world.more |= {
        "ORDERCTL_MAIL_URL": f"smtp://{office.address}",
        "ORDERCTL_MAIL_SENDER": "The shop <shop@example.com>",
        "ORDERCTL_MAIL_ADMIN": "admin@example.com",
        "ORDERCTL_DOWNLOAD_PUBLIC_URL": "https://files.example.com",
    }
    return world


def _send(world: World) -> SendReport:
    return courier.send_due(world.engine, world.client, world.settings)


def _end(world: World, code: str = "DH1") -> int:
    """Add an order that has just completed; return its id."""
    [task_id] = world.shop.paid(code)
    world.shop.carry_out(task_id)
    return world.shop.order(code).id


def _due(world: World) -> None:
    """Let every pause end."""
    early = {"due_at": database.utc_now(-1)}
    unsent = outbox_table.update().where(outbox_table.c.sent_at.is_(None))
    world.shop.transact(lambda c: c.execute(unsent.values(early)))


def test_summary_tells_the_customer_where_each_course_is(posted: World, office: Office) -> None:
    courses = [
        NewCourse("http://courses.example/1", "Khóa học <b>1</b>"),
        NewCourse("http://courses.example/2"),
    ]
    shop = posted.shop
    good, bad = shop.tasks(shop.add("DH1", courses))
    shop.pay("DH1")
    shop.carry_out(good.id)
    link = "https://files.example.com/DH1/1/"
    posted.shop.transact(lambda c: c.execute(download_tasks.update().values(drive_link=link)))
    shop.fail(bad.id, ErrorType.UNKNOWN)

    _send(posted)

    [letter] = office.letters
    assert letter["To"] == "customer@example.com"
    assert letter["From"] == "The shop <shop@example.com>"
    assert "DH1" in letter["Subject"]
    assert (letter["Auto-Submitted"], letter["Date"] is not None) == ("auto-generated", True)
    text = letter.get_body(("plain",)).get_content()
    html = letter.get_body(("html",)).get_content()
    assert "1 of 2 courses" in text
    assert "Khóa học <b>1</b>  completed  https://files.example.com/DH1/1/" in text
    assert "http://courses.example/2  failed" in text
    assert "Khóa học &lt;b&gt;1&lt;/b&gt;" in html
    assert f'<a href="{link}">' in html
    assert "<b>" not in html
    assert office.raw[0].isascii()


def test_summary_mail_is_written_down_once(posted: World, office: Office) -> None:
    order_id = _end(posted)

    for _ in range(2):
        _send(posted)

    assert len(office.letters) == 1
    event = posted.shop.event(order_id, "email_sent")
    assert (event.event_category, event.details["kind"]) == ("email", "summary")


def test_nothing_in_an_order_can_add_a_header(posted: World, office: Office) -> None:
    order_id = _end(posted)
    posted.shop.transact(
        lambda c: c.execute(orders.orders.update().values(order_code="DH1\r\nBcc: x@example.com"))
    )

    _send(posted)

    [letter] = office.letters
    assert letter["Bcc"] is None
    assert order_id == 1


def test_server_that_drops_the_connection_after_data_gets_the_mail_again(
    posted: World, office: Office
) -> None:
    _end(posted)
    office.rude = 2

    for tries in (1, 2):
        assert any(":summary" in key for key in _send(posted).postponed)
        assert office.letters == []
        assert [row.attempts for row in posted.shop.outbox() if row.kind == "summary"] == [tries]
        assert not any(":summary" in key for key in _send(posted).sent), "it is not due yet"
        _due(posted)
    _send(posted)

    assert len(office.letters) == 1
    events = [event.event_type for event in posted.shop.events(1)]
    assert (events.count("email_sent"), events.count("email_failed")) == (1, 0)


def test_mail_that_a_rude_server_took_comes_again_under_the_same_id(posted: World, office: Office) -> None:
    """The window of SMTP: the receiver recognises the mail by its Message-ID."""
    _end(posted)
    office.rude, office.accepts_first = 1, True

    _send(posted)
    _due(posted)
    _send(posted)

    first, second = office.letters
    assert first["Message-ID"] == second["Message-ID"]
    assert [event.event_type for event in posted.shop.events(1)].count("email_sent") == 1


def test_other_mails_have_other_ids(posted: World, office: Office) -> None:
    _end(posted, "DH1")
    _end(posted, "DH2")

    _send(posted)

    assert len({letter["Message-ID"] for letter in office.letters}) == 2


def test_mail_waits_for_a_server_that_is_away(posted: World, office: Office) -> None:
    _end(posted)
    posted.more["ORDERCTL_MAIL_URL"] = f"smtp://127.0.0.1:{free_port()}"

    _send(posted)

    [entry] = [row for row in posted.shop.outbox() if row.kind == "summary"]
    assert entry.sent_at is None
    assert "refused" in entry.last_error
    del posted.__dict__["settings"]
    posted.more["ORDERCTL_MAIL_URL"] = f"smtp://{office.address}"
    _due(posted)
    _send(posted)
    assert len(office.letters) == 1


def test_recipient_that_does_not_exist_is_given_up_at_once(posted: World, office: Office) -> None:
    order_id = _end(posted)
    office.refuse = "550 5.1.1 no such user"

    report = _send(posted)

    assert any(":summary" in key for key in report.dropped)
    event = posted.shop.event(order_id, "email_failed")
    assert (event.severity, event.event_category) == ("error", "email")
    assert "no such user" in event.message
    [entry] = [row for row in posted.shop.outbox() if row.kind == "summary"]
    assert entry.sent_at is not None


@pytest.mark.parametrize("answer", ["451 4.7.1 greylisted", "554 5.7.1 relay access denied", "550 no"])
def test_recipient_that_may_be_taken_later_is_tried_again(posted: World, office: Office, answer: str) -> None:
    _end(posted)
    office.refuse = answer
    _send(posted)
    office.refuse = ""
    _due(posted)

    _send(posted)

    assert len(office.letters) == 1


def test_mail_is_given_up_after_a_day(posted: World, office: Office) -> None:
    order_id = _end(posted)
    posted.shop.transact(lambda c: c.execute(outbox_table.update().values(attempts=29)))
    office.refuse = "451 4.3.0 try again"

    _send(posted)

    assert posted.shop.event(order_id, "email_failed").details["error"]
    _due(posted)
    assert _send(posted).sent == []


def test_password_is_not_sent_in_the_clear(posted: World) -> None:
    office = Office("127.0.0.2", auth_require_tls=False, auth_required=False)
    try:
        posted.more["ORDERCTL_MAIL_URL"] = f"smtp://user:secret@{office.address}"
        _end(posted)

        _send(posted)

        [entry] = [row for row in posted.shop.outbox() if row.kind == "summary"]
        assert "TLS" in entry.last_error
        assert "secret" not in entry.last_error
        assert (office.letters, office.logins) == ([], [])
    finally:
        office.close()


# --- Alerts


def _fail(world: World, code: str) -> None:
    [task_id] = world.shop.paid(code)
    world.shop.fail(task_id, ErrorType.DISK_SPACE, "no space left", fingerprint="f00d")


def _write_and_ask_in_one_moment(world: World) -> None:
    """Give the failure and its alert the same time, as happens on a fast machine."""
    due_at = select(func.max(outbox_table.c.due_at)).where(outbox_table.c.kind == "alert").scalar_subquery()
    failed = order_audit_logs.c.event_type == "download_failed"
    world.shop.transact(lambda c: c.execute(update(order_audit_logs).where(failed).values(created_at=due_at)))


def _alerts(office: Office) -> list[str]:
    return [
        letter.get_body(("plain",)).get_content()
        for letter in office.letters
        if letter["To"] == "admin@example.com"
    ]


def test_alert_leaves_at_once_and_the_next_an_hour_later_with_a_count(posted: World, office: Office) -> None:
    _fail(posted, "DH1")
    _write_and_ask_in_one_moment(posted)
    _send(posted)
    for number in range(2, 6):
        _fail(posted, f"DH{number}")
        _send(posted)

    [first] = _alerts(office)
    assert "no space left" in first
    assert "failures in the last hour  1" in first
    assert "orderctl tasks retry --fingerprint f00d" in first
    _due(posted)
    _send(posted)
    _, second = _alerts(office)
    assert "failures since the last mail  4" in second


def test_alert_without_an_admin_goes_nowhere(posted: World, office: Office) -> None:
    del posted.more["ORDERCTL_MAIL_ADMIN"]
    _fail(posted, "DH1")

    _send(posted)

    assert [letter["To"] for letter in office.letters] == ["customer@example.com"]
    assert all(row.sent_at is not None for row in posted.shop.outbox())


# --- Without settings


def test_what_is_not_configured_is_said_once_and_nothing_piles_up(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.__dict__["settings"] = replace(world.settings, mail=Mail(), notify=Notify())
    courier._log_once.cache_clear()
    with caplog.at_level(logging.INFO, logger="orderctl"):
        for number in range(3):
            _end(world, f"DH{number}")
            _fail(world, f"DX{number}")
            _send(world)

    assert all(row.sent_at is not None for row in world.shop.outbox() if row.due_at <= world.shop.now())
    said = [record.getMessage() for record in caplog.records if "not configured" in record.getMessage()]
    assert len(said) == len(set(said))
    assert {text.partition(": ")[2] for text in said} == {
        "mail.url is not configured",
        "mail.url or mail.admin is not configured",
        "notify.webhook_url is not configured",
    }
    assert world.post.letters == []


# --- Webhooks


class Hook:
    """A webhook's receiver with configurable answers."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        self.location = ""
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.requests.append((dict(self.headers.items()), body))
                self.send_response(hook.status)
                if hook.location:
                    self.send_header("Location", hook.location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, *args: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/hook?shop=1"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def hook(world: World) -> Iterator[Hook]:
    hook = Hook()
    world.more["ORDERCTL_NOTIFY_WEBHOOK_URL"] = hook.url
    yield hook
    hook.close()


def test_webhook_is_signed(world: World, hook: Hook) -> None:
    world.more["ORDERCTL_NOTIFY_WEBHOOK_SECRET"] = "between us"
    order_id = _end(world)

    _send(world)

    [(headers, body)] = hook.requests
    signature = hmac.new(b"between us", body, hashlib.sha256).hexdigest()
    assert headers["X-Orderctl-Signature"] == f"sha256={signature}"
    assert headers["Content-Type"] == "application/json"
    told = json.loads(body)
    assert (told["event"], told["orderId"], told["completedTasks"]) == ("order_completed", order_id, 1)


def test_webhook_without_a_secret_has_no_signature(world: World, hook: Hook) -> None:
    _end(world)

    _send(world)

    [(headers, _)] = hook.requests
    assert "X-Orderctl-Signature" not in headers


@pytest.mark.parametrize("status", [500, 404, 302])
def test_webhook_is_tried_again_later_and_later(world: World, hook: Hook, status: int) -> None:
    hook.status, hook.location = status, (hook.url if status == 302 else "")
    _end(world)
    pauses = []
    for _ in range(4):
        _send(world)
        [entry] = [row for row in world.shop.outbox() if row.kind == "webhook"]
        assert entry.sent_at is None
        assert str(status) in entry.last_error
        pauses.append((entry.due_at - world.shop.now()).total_seconds())
        _due(world)
    assert all(0.4 * 2**tries < pause <= 2**tries for tries, pause in enumerate(pauses, 1))

    hook.status, hook.location = 204, ""
    _send(world)

    assert len(hook.requests) == 5
    assert len({headers["X-Orderctl-Delivery"] for headers, _ in hook.requests}) == 1
    assert len({body for _, body in hook.requests}) == 1
    assert all(row.sent_at is not None for row in world.shop.outbox())


def test_receiver_that_hangs_holds_up_no_download_and_no_mail(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        world.more["ORDERCTL_NOTIFY_WEBHOOK_URL"] = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        for number in range(3):
            world.shop.add(f"DH{number}", [world.course()])
        with world.supervisor():
            began = clock.elapsed()
            for number in range(3):
                world.shop.pay(f"DH{number}")
            eventually(lambda: len(world.post.letters) == 3, "the mails")
            eventually(lambda: sum(world.listener.completions().values()) == 3, "the messages")
            assert clock.elapsed() - began < 3 * 10, "a webhook alone waits 10 s"


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
        _end(world)
        report = _send(world)
        thread.join()

    assert any(":webhook" in key for key in report.postponed)


def test_entry_whose_order_is_gone_holds_up_nothing(world: World, hook: Hook) -> None:
    world.shop.transact(
        lambda c: outbox.put(c, EntryKind.SUMMARY, "lost", {"orderId": 999, "status": "completed"})
    )
    _end(world)

    report = _send(world)

    assert report.postponed == ["lost"]
    assert len(world.post.letters) == 1


def test_courier_that_is_told_to_stop_gives_back_what_it_has_not_sent(world: World, hook: Hook) -> None:
    for number in range(5):
        world.shop.transact(
            lambda c, number=number: outbox.put(c, EntryKind.WEBHOOK, f"k{number}", {"event": "x"})
        )

    report = courier.send_due(
        world.engine, world.client, world.settings, over=lambda: len(hook.requests) >= 2
    )

    assert report.sent == ["k0", "k1"]
    left = [row for row in world.shop.outbox() if row.sent_at is None]
    assert [(row.dedup_key, row.attempts, row.lease_token) for row in left] == [
        ("k2", 0, None),
        ("k3", 0, None),
        ("k4", 0, None),
    ]
    assert _send(world).sent == ["k2", "k3", "k4"]
