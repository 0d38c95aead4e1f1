"""The way of a mail to a real socket: what the mail server's answers mean, and what it is sent."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orderctl import texts
from orderctl.setting_sections import Mail
from orderctl.worker import mail, samples, smtp
from orderctl.worker.letters import Letter
from orderctl.worker.smtp import MailRefused, Undeliverable
from tests.servers.tls import TlsProxy

OK = {
    "greeting": "220 hi",
    "ehlo": "250-hi\r\n250-8BITMIME\r\n250 SMTPUTF8",
    "mail": "250 ok",
    "rcpt": "250 ok",
    "data": "354 go",
    ".": "250 taken",
    "auth": "235 welcome",
}


@dataclass
class Scripted:
    """A mail server that gives prepared answers; the answer "drop" cuts the connection."""

    port: int
    answers: dict[str, str] = field(default_factory=dict)
    heard: list[bytes] = field(default_factory=list)

    def serve(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as lines:
            word = "greeting"
            while (answer := {**OK, **self.answers}.get(word, "250 ok")) != "drop":
                client.sendall(answer.encode() + b"\r\n")
                until = b".\r\n" if word == "data" and answer.startswith("354") else b"\n"
                line = b""
                while not (line == until or (len(until) == 1 and line)):
                    line = lines.readline()
                    if not line:
                        return
                    self.heard.append(line)
                word = "." if len(until) > 1 else line[:4].decode().strip().lower()


@contextmanager
def scripted(**answers: str) -> Iterator[Scripted]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Scripted(
            listener.getsockname()[1], {"." if k == "end" else k: v for k, v in answers.items()}
        )

        def serve() -> None:
            client, _ = listener.accept()
            with suppress(OSError):  # the courier waits for no answer to QUIT
                server.serve(client)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server
        thread.join(5)


def post(
    server: Scripted, to: str = "jo@b.c", *, sender: str = "shop@example.com", user: str = "", subject: str = "Hi",
    scheme: str = "smtp", host: str = "127.0.0.1", still_ours: Callable[[], bool] = lambda: True,
) -> bool:  # fmt: skip
    settings = Mail(url=f"{scheme}://{user}{host}:{server.port}", sender=sender)
    facts = samples.letter("order", to).facts
    order = {**facts["order"], "code": texts.legible(subject, 500)}
    letter = Letter(to, "order", {**facts, "order": order})
    return smtp.send(mail.compose(letter, settings, "key", datetime.now(UTC)), settings, still_ours)


@pytest.mark.parametrize(
    ("answers", "kind", "said"),
    [
        # About the recipient, for ever.
        ({"rcpt": "550 5.1.1 no such user"}, Undeliverable, "550 5.1.1 no such user"),
        ({"rcpt": "550-5.1.1 no\r\n550 5.1.1 user"}, Undeliverable, "5.1.1"),
        ({"rcpt": "550 Unrouteable address"}, Undeliverable, "Unrouteable"),
        ({"rcpt": "550 5.4.1 Recipient address rejected"}, Undeliverable, "rejected"),
        ({"rcpt": "551 User not local"}, Undeliverable, "551"),
        ({"rcpt": "553 mailbox name not allowed"}, Undeliverable, "553"),
        ({"rcpt": "556 5.1.10 null MX"}, Undeliverable, "556"),
        ({"rcpt": "552 5.2.2 over quota"}, Undeliverable, "552"),
        ({"rcpt": "550 5.6.7 only ASCII"}, Undeliverable, "5.6.7"),
        ({"end": "550 5.1.1 no such user"}, Undeliverable, "5.1.1"),
        ({"data": "550 5.1.1 no such user"}, Undeliverable, "5.1.1"),
        # It may pass.
        ({"greeting": "421 too busy"}, MailRefused, "421 too busy"),
        ({"greeting": "554 not you"}, MailRefused, "554 not you"),
        ({"greeting": "drop"}, OSError, "closed"),
        ({"mail": "drop"}, OSError, "closed"),
        ({"rcpt": "drop"}, OSError, "closed"),
        ({"data": "drop"}, OSError, "closed"),
        ({"end": "drop"}, OSError, "closed"),
        ({"rcpt": "421 4.3.2 shutting down"}, MailRefused, "421"),
        ({"rcpt": "450 4.2.1 busy"}, MailRefused, "450"),
        ({"rcpt": "451 5.1.1 odd"}, MailRefused, "451"),
        ({"rcpt": "452 too many"}, MailRefused, "452"),
        ({"end": "451 4.7.1 greylisted"}, MailRefused, "greylisted"),
        ({"data": "451 later"}, MailRefused, "451"),
        # A setting may be the cause.
        (
            {"mail": "550 5.1.8 domain not found"},
            MailRefused,
            r"sender shop@example.com \(mail.sender\): 550",
        ),
        ({"mail": "530 5.7.0 authentication required"}, MailRefused, "login, but mail.url has no user and"),
        ({"rcpt": "530 5.7.0 authentication required"}, MailRefused, "login, but mail.url has no user and"),
        ({"mail": "530 5.7.0 Must issue a STARTTLS command first"}, MailRefused, "mail.sender"),
        ({"rcpt": "550 5.1.8 sender domain not found"}, MailRefused, "5.1.8"),
        ({"rcpt": "550 5.7.1 user unknown or relaying denied"}, MailRefused, "5.7.1"),
        ({"rcpt": "550 relay not permitted for this address"}, MailRefused, "relay"),
        ({"rcpt": "550 sender address rejected"}, MailRefused, "rejected"),
        ({"rcpt": "554 5.7.1 policy"}, MailRefused, "554"),
        ({"rcpt": "550 no"}, MailRefused, "550 no"),
        ({"rcpt": "503 bad sequence of recipients"}, MailRefused, "503"),
        ({"end": "554 5.6.0 odd content"}, MailRefused, "554"),
    ],
    ids=str,
)
def test_what_an_answer_means(answers: dict[str, str], kind: type[Exception], said: str) -> None:
    with scripted(**answers) as server, pytest.raises(OSError, match=said) as raised:
        post(server)

    assert isinstance(raised.value, kind)
    assert isinstance(raised.value, Undeliverable) == (kind is Undeliverable)


def test_login_that_is_refused_is_a_setting_and_names_no_password() -> None:
    offers = "250-hi\r\n250 AUTH PLAIN"
    with scripted(ehlo=offers, auth="535 5.7.8 wrong") as server, pytest.raises(MailRefused) as raised:
        post(server, user="shop:geheim@")
    with scripted(ehlo=offers) as other, pytest.raises(MailRefused, match="not in ASCII") as odd:
        post(other, user="shop:gehei%C3%BC@")

    assert "mail.url" in str(raised.value)
    assert "535" in str(raised.value)
    assert "gehei" not in f"{raised.value!r} {odd.value!r}"


def test_server_that_offers_no_login_is_a_setting() -> None:
    with scripted() as server, pytest.raises(MailRefused, match=r"no login on this port, but mail\.url has"):
        post(server, user="shop:geheim@")


@pytest.mark.parametrize("host", ["127.0.0.1", "mail.invalid"])
def test_server_that_cannot_be_reached_is_named(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Scripted(listener.getsockname()[1])

    with pytest.raises(
        MailRefused, match=rf"^no connection to the mail server {host}:{server.port} \(mail.url\): \w"
    ):
        post(server, user="shop:geheim@", host=host)


@pytest.mark.parametrize("offered", [True, False])
def test_address_beyond_ascii_needs_a_server_that_takes_it(offered: bool) -> None:
    ehlo = OK["ehlo"] if offered else "250 hi"
    with scripted(ehlo=ehlo) as server:
        if offered:
            assert post(server, "jürgen@müller.de", subject="Straße")
        else:
            with pytest.raises(Undeliverable, match=r"jürgen@xn--mller-kva\.de needs SMTPUTF8"):
                post(server, "jürgen@müller.de")

    lines = [line.decode() for line in server.heard]
    if offered:
        assert "mail FROM:<shop@example.com> SMTPUTF8\r\n" in lines
        assert "rcpt TO:<jürgen@xn--mller-kva.de>\r\n" in lines
        assert "To: jürgen@xn--mller-kva.de\r\n" in lines
    else:
        assert not any(line.startswith("mail") for line in lines)


def test_sender_beyond_ascii_is_a_setting_and_not_the_recipient_s_fault() -> None:
    with scripted(ehlo="250 hi") as server, pytest.raises(MailRefused, match=r"mail\.sender"):
        post(server, sender="jürgen@example.com")


def test_domain_beyond_ascii_needs_nothing_of_the_server() -> None:
    with scripted(ehlo="250 hi") as server:
        assert post(server, "Jürgen <jo@müller.de>", sender="The shop <shop@müller.de>")

    assert b"mail FROM:<shop@xn--mller-kva.de>\r\n" in server.heard
    assert b"rcpt TO:<jo@xn--mller-kva.de>\r\n" in server.heard
    assert all(line.isascii() for line in server.heard)


def test_mail_that_another_courier_has_taken_is_not_sent() -> None:
    with scripted() as server:
        assert not post(server, still_ours=lambda: False)

    assert not any(line.startswith(b"data") for line in server.heard)


_INJECTION = "=?utf-8?q?a=0D=0ABcc=3A_x=40y.z=0D=0A=0D=0Abody?="


@pytest.mark.parametrize("utf8", [True, False])
@pytest.mark.parametrize(
    ("subject", "name"),
    [(f"Order {_INJECTION}", f"{_INJECTION}"), ("Order a\r\nBcc: x@y.z", "plain"), ("a\x00\x1b\u2028\u202eBcc: x", "ü"),
     ("=?utf-8?b?YQ0KQmNjOiB4QHkueg==?=", "=?utf-8?b?YQ0KQmNjOiB4QHkueg==?= x"),
        (f"Order {'x' * 200}", f"{_INJECTION}{'y' * 70}{_INJECTION}{'z' * 300}")],
    ids=["encoded", "lines", "controls", "base64", "long"],
)  # fmt: skip
def test_nothing_adds_a_header(subject: str, name: str, utf8: bool) -> None:
    to = "jü@b.c" if utf8 else "jo@b.c"
    with scripted() as server:
        assert post(server, f"{name} <{to}>", subject=subject, sender=f"{name} <shop@example.com>")

    head = server.heard[server.heard.index(b"data\r\n") + 1 :]
    head = head[: head.index(b"\r\n")]
    names = [line.partition(b":")[0] for line in head if not line.startswith((b" ", b"\t"))]
    assert sorted(names) == [
        b"Auto-Submitted", b"Content-Type", b"Date", b"From", b"MIME-Version", b"Message-ID", b"Subject", b"To",
    ]  # fmt: skip


def test_server_that_answers_byte_by_byte_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "_DEADLINE", 0.3)
    over = threading.Event()

    def drip() -> None:
        client, _ = listener.accept()
        with client:
            while not over.wait(0.05):
                try:
                    client.send(b"2")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        began = time.monotonic()
        with pytest.raises(TimeoutError, match=r"the answer was not complete within 0\.3 s"):
            post(Scripted(listener.getsockname()[1]))
        over.set()
        thread.join()
    assert time.monotonic() - began < smtp._TIMEOUT


def test_certificate_is_verified_for_the_name_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted() as server, TlsProxy(server.port, tmp_path) as proxy:
        other = Scripted(proxy.port)
        with pytest.raises(MailRefused, match="certificate verify failed"):
            post(other, scheme="smtps")
        monkeypatch.setenv("SSL_CERT_FILE", str(proxy.certificate))
        with pytest.raises(MailRefused, match=r"'127\.1'"):
            post(other, scheme="smtps", host="127.1")
        assert post(other, scheme="smtps")
