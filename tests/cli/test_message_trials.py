"""``orderctl outbox test``: samples to real receivers of webhooks and mails."""

import base64
import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult
from standardwebhooks.webhooks import Webhook

from orderctl.worker import trials
from orderctl.worker.trials import Trial
from tests.cli.conftest import Program
from tests.servers.process import free_port
from tests.worker.conftest import Hook, Office

SECRET = "whsec_" + base64.b64encode(hashlib.sha256(b"a test").digest()).decode()
KEYS = ["name", "kind", "receiver", "accepted", "seconds", "error"]


@pytest.fixture
def hook() -> Iterator[Hook]:
    yield (hook := Hook())
    hook.close()


@pytest.fixture
def office() -> Iterator[Office]:
    yield (office := Office())
    office.close()


@pytest.fixture
def bare(tmp_path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Settings without a receiver, and with stores that do not answer."""
    monkeypatch.setenv("ORDERCTL_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("ORDERCTL_DATABASE_URL", "mysql://root@127.0.0.1:1/none")
    monkeypatch.setenv("ORDERCTL_REDIS_URL", "redis://127.0.0.1:1/0")
    return monkeypatch


def endpoints(environ: pytest.MonkeyPatch, **urls: str) -> None:
    tables = [{"name": name, "url": url, "secret": SECRET} for name, url in urls.items()]
    environ.setenv("ORDERCTL_NOTIFY_ENDPOINT", json.dumps(tables))


def write_to(environ: pytest.MonkeyPatch, url: str) -> None:
    environ.setenv("ORDERCTL_MAIL_URL", url)
    environ.setenv("ORDERCTL_MAIL_ADMIN", "admin@example.com")


def tried(inside: Program, *options: str) -> tuple[int, list[dict[str, Any]]]:
    ended = inside("outbox", "test", "-o", "json", *options)
    return ended.status, json.loads(ended.out)


def test_each_receiver_gets_a_sample_without_a_store(bare, hook: Hook, office: Office, inside: Program):
    endpoints(bare, crm=hook.url)
    write_to(bare, f"smtp://{office.address}")

    first, second = inside("outbox", "test"), tried(inside)

    [(headers, body), (other, _)] = hook.requests
    assert Webhook(SECRET).verify(body, headers)["event"] == "test"
    assert headers["webhook-id"] != other["webhook-id"]
    letters = office.letters
    assert [letter["To"] for letter in letters] == ["admin@example.com"] * 2
    assert "SAMPLE1" in letters[0].get_body(("plain",)).get_content()
    assert letters[0]["Message-ID"] != letters[1]["Message-ID"]
    assert (first.status, first.err) == (0, "")
    assert (
        re.sub(r":\d{5}/", ":12345/", re.sub(r"\d\.\d\d s", "0.01 s", first.out))
        == """\
NAME  TO                          ACCEPTED    TIME  REASON
crm   http://127.0.0.1:12345/***  yes       0.01 s  -
mail  admin@example.com           yes       0.01 s  -
"""
    )
    status, rows = second
    assert (status, [list(row) for row in rows]) == (0, [KEYS] * 2)


def test_what_was_not_accepted_says_why(bare, hook: Hook, inside: Program):
    hook.status = 503
    closed = free_port()
    endpoints(
        bare,
        busy=f"{hook.url}&token=canary",
        closed=f"http://127.0.0.1:{closed}/canary",
        plain=hook.url.replace("http:", "https:"),
    )
    write_to(bare, f"smtp://127.0.0.1:{closed}")

    status, rows = tried(inside)

    assert status == 1
    assert [row["accepted"] for row in rows] == [False] * 4
    assert rows[0]["error"] == "HTTP 503"
    assert rows[1]["error"].startswith("ConnectionRefusedError: ")
    assert rows[2]["error"].startswith("SSLError: ")
    assert rows[3]["error"].startswith(f"no connection to the mail server 127.0.0.1:{closed} (mail.url): ")
    assert "canary" not in str(rows)


def test_receivers_are_tried_at_the_same_time(bare, inside: Program):
    def answer_when_both_are_here() -> None:
        clients = [server.accept()[0] for _ in range(2)]
        for client in clients:
            client.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            while client.recv(10_000):
                pass
            client.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(8)
        thread = threading.Thread(target=answer_when_both_are_here)
        thread.start()
        endpoints(bare, **dict.fromkeys(("crm", "erp"), f"http://127.0.0.1:{server.getsockname()[1]}/"))
        ended = inside("outbox", "test", "-o", "name")
        thread.join()

    assert (ended.status, ended.out.split()) == (0, ["crm", "erp"])


def test_who_does_not_answer_soon_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trials, "_SOON", 0.05)
    trial = Trial("erp", "webhook", "https://erp.example/***", accepted=True, seconds=0.1, error=None)
    said, named = [], threading.Event()

    def hang() -> Trial:
        assert named.wait(8)
        return trial

    found = trials.at_once({"erp": hang}, lambda names: said.append(names) or named.set())

    assert (found, said) == ([trial], [["erp"]])


def test_a_refused_login_says_so(bare, inside: Program):
    office = Office(auth_require_tls=False, authenticator=lambda *_: AuthResult(success=False, handled=False))
    try:
        write_to(bare, f"smtp://shop:canary@{office.address}")
        status, [row] = tried(inside)
    finally:
        office.close()

    assert (status, row["accepted"]) == (1, False)
    assert row["error"].startswith("the mail server refuses the login (mail.url): 535 ")


def test_one_receiver_can_be_named(bare, hook: Hook, office: Office, inside: Program):
    endpoints(bare, crm=hook.url, erp=hook.url)
    write_to(bare, f"smtp://{office.address}")

    named = {words: [row["name"] for row in tried(inside, *words.split())[1]] for words in (
        "--endpoint erp", "--mail", "--to me@example.com", "--endpoint crm --mail",
    )}  # fmt: skip

    assert list(named.values()) == [["erp"], ["mail"], ["mail"], ["crm", "mail"]]
    assert [letter["To"] for letter in office.letters] == [
        "admin@example.com", "me@example.com", "admin@example.com",
    ]  # fmt: skip


def test_what_is_not_configured_is_78_with_a_hint(bare, hook: Hook, inside: Program):
    nothing = inside("outbox", "test")
    mail = inside("outbox", "test", "--mail")
    endpoints(bare, crm=hook.url)
    bare.setenv("ORDERCTL_MAIL_URL", "smtp://127.0.0.1:1")
    without_admin = inside("outbox", "test")

    assert (nothing.status, nothing.out) == (78, "")
    assert nothing.err.startswith(
        "orderctl: neither an endpoint of webhooks nor a receiver of mails is configured\nhint: "
    )
    assert mail.err.startswith("orderctl: no mail can be sent: mail.url is not configured\nhint: ")
    assert without_admin.status == 0
    assert without_admin.err == "mail.admin is not configured: no mail is sent; --to ADDRESS sends one\n"


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--endpoint", "gone"], 3, "orderctl: endpoint 'gone' not found\nhint: the endpoints are crm\n"),
        (["--to", "nobody"], 2, "orderctl: 'nobody' is not a valid e-mail address: "),
        (["--to", "a\r\nBcc: b@example.com"], 2, "orderctl: "),
    ],
)
def test_wrong_options_are_refused(options, status, said, bare, inside: Program):
    endpoints(bare, crm="http://127.0.0.1:1/")
    bare.setenv("ORDERCTL_MAIL_URL", "smtp://127.0.0.1:1")

    ended = inside("outbox", "test", *options)

    assert (ended.status, ended.out) == (status, "")
    assert ended.err.startswith(said)
