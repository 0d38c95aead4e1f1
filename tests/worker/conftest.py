"""Mail servers and receivers of webhooks for the courier's tests."""

import email
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from orderctl import database
from orderctl.schema import outbox as outbox_table
from orderctl.states import ErrorType
from orderctl.worker import courier
from orderctl.worker.courier import SendReport
from tests.faults.world import World
from tests.servers.process import free_port


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
        more = {"enable_SMTPUTF8": False} | more
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


def send(world: World) -> SendReport:
    return courier.send_due(world.engine, world.client, world.settings)


def ended_order(world: World, code: str = "DH1") -> int:
    """Add an order that has just completed; return its id."""
    [task_id] = world.shop.paid(code)
    world.shop.carry_out(task_id)
    return world.shop.order(code).id


def make_due(world: World) -> None:
    """Let every pause end."""
    early = {"due_at": database.utc_now(-1)}
    unsent = outbox_table.update().where(outbox_table.c.sent_at.is_(None))
    world.shop.transact(lambda c: c.execute(unsent.values(early)))


class Hook:
    """A webhook's receiver with configurable answers."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.targets: list[str] = []
        self.status = 204
        self.location = ""
        self.more: dict[str, str] = {}  # further headers of the answer
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.requests.append((dict(self.headers.items()), body))
                hook.targets.append(self.path)
                self.send_response(hook.status)
                if hook.location:
                    self.send_header("Location", hook.location)
                for name, value in hook.more.items():
                    self.send_header(name, value)
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
    def authority(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.authority}/hook?shop=1"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver_alone() -> Iterator[Hook]:
    """A receiver of no world's webhooks."""
    yield (hook := Hook())
    hook.close()


@pytest.fixture
def hook(world: World) -> Iterator[Hook]:
    hook = Hook()
    world.more["ORDERCTL_NOTIFY_WEBHOOK_URL"] = hook.url
    yield hook
    hook.close()


def failed_order(world: World, code: str) -> None:
    """Add an order whose only task has failed on a full disk."""
    [task_id] = world.shop.paid(code)
    world.shop.fail(task_id, ErrorType.DISK_SPACE, "no space left", fingerprint="f00d")
