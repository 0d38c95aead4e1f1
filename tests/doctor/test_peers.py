"""The mail server, the receivers of webhooks and the outbox: what takes nothing from us is named; nothing is sent."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.smtp import AuthResult

from orderctl.doctor import mail_server, receivers, unsent
from orderctl.doctor.ahead import Begun, Peers
from orderctl.doctor.checks import Check, Verdict
from orderctl.schema import outbox
from orderctl.settings import load
from tests.doctor.around import look, named, unwell
from tests.servers.process import free_port
from tests.servers.tls import TlsProxy
from tests.shop import Shop
from tests.worker.conftest import Office

ADMIN = {"mail_admin": "admin@example.com"}
SECRET = "a secret of sixty-four characters, as openssl rand -hex 32 makes one"


def mail(url: str, **more: str) -> list[Check]:
    return look(mail_server.examine, ahead=mail_server.look, mail_url=url, **more)


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_mail_server_is_greeted_and_gets_nothing() -> None:
    office = Office()
    try:
        assert unwell(mail(f"smtp://{office.address}", **ADMIN)) == {}
        assert unwell(mail(f"smtp://{office.address}")) == {"admin": Verdict.NOTE}
        assert office.letters == []
    finally:
        office.close()


def test_a_refused_login_is_named_without_the_password() -> None:
    office = Office(auth_require_tls=False, authenticator=lambda *_: AuthResult(success=False, handled=False))
    try:
        check = named(mail(f"smtp://shop:canary-word@{office.address}", **ADMIN), "smtp")
    finally:
        office.close()
    assert check.verdict is Verdict.FAULT
    assert "refuses the login" in check.text
    assert "canary" not in str(check)


def test_a_mail_server_that_is_away_or_silent_is_named_in_time(silent: int) -> None:
    assert "refused" in named(mail(f"smtp://127.0.0.1:{free_port()}", **ADMIN), "smtp").text
    began = time.monotonic()
    check = named(
        look(
            mail_server.examine, ahead=mail_server.look, mail_url=f"smtp://127.0.0.1:{silent}", patience=0.2
        ),
        "smtp",
    )
    assert check.verdict is Verdict.FAULT
    assert time.monotonic() - began < 5


def test_mails_without_tls_over_a_network_are_named() -> None:
    greeting = mail_server.Greeting("mail.example.com", 25, secure=False)

    [check] = look(
        mail_server.examine,
        ahead=lambda _: mail_server.Look(greeting),
        mail_url="smtp://mail.example.com",
        **ADMIN,
    )

    assert (check.name, check.verdict) == ("smtp", Verdict.WARNING)


def hooks(*urls: str, **more: str) -> list[Check]:
    endpoints = json.dumps([{"name": f"hook{number}", "url": url, **more} for number, url in enumerate(urls)])
    return look(receivers.examine, ahead=receivers.look, notify_endpoint=endpoints)


def test_each_endpoint_is_reached_and_gets_nothing(silent: int) -> None:
    assert unwell(hooks(f"http://127.0.0.1:{silent}/token", secret=SECRET)) == {}
    assert unwell(hooks(f"http://127.0.0.1:{silent}/token")) == {"signature": Verdict.NOTE}


def test_endpoints_that_cannot_be_reached_are_named_without_their_paths(silent: int, tmp_path: Path) -> None:
    with TlsProxy(silent, tmp_path) as proxy:
        checks = hooks(
            f"http://127.0.0.1:{free_port()}/canary",
            "http://name.invalid/canary",
            f"https://127.0.0.1:{proxy.port}/canary",
            secret=SECRET,
        )

    faults = [check for check in checks if check.name == "endpoint"]
    assert [check.verdict for check in faults] == [Verdict.FAULT] * 3
    for check, text in zip(faults, ("refused", "name.invalid", "certificate is not accepted"), strict=True):
        assert text in check.text
        assert "canary" not in str(check)


def test_a_certificate_that_ends_soon_and_a_silent_endpoint_are_named(silent: int) -> None:
    [endpoint] = load(
        {"notify.endpoint": f'[{{"name": "crm", "url": "https://crm.example/", "secret": "{SECRET}"}}]'},
        environ={},
    ).notify.endpoint
    soon = look(receivers.examine, ahead=lambda _: [(endpoint, receivers.Reach(days=3))])
    assert unwell(soon) == {"certificate": Verdict.WARNING}

    endpoints = f'[{{"name": "crm", "url": "https://127.0.0.1:{silent}/", "secret": "{SECRET}"}}]'
    found = look(receivers.examine, ahead=receivers.look, notify_endpoint=endpoints, patience=0.2)
    assert "no answer within 0.2 s" in named(found, "endpoint").text


@pytest.mark.databases("sqlite")
def test_messages_that_were_given_up_or_wait_are_named(shop: Shop) -> None:
    [task] = shop.paid()
    shop.carry_out(task)
    assert unwell(look(unsent.examine_mails, engine=shop.engine)) == {}

    late = "UPDATE orderctl_outbox SET created_at = '2020-01-01 00:00:00', due_at = '2020-01-01 00:00:00'"
    shop.execute(late)
    checks = look(unsent.examine_mails, engine=shop.engine)
    assert unwell(checks) == {"waiting": Verdict.WARNING}
    assert named(checks, "waiting").repair == "orderctl worker start"

    tried = outbox.update().values(attempts=3, last_error="\x1b[31mConnection refused")
    shop.transact(lambda connection: connection.execute(tried))
    check = named(look(unsent.examine_mails, engine=shop.engine), "waiting")
    assert "tried 3 times, [31mConnection refused" in check.text
    assert (check.repair or "").startswith("orderctl outbox show ")

    shop.execute("UPDATE orderctl_outbox SET failed_at = created_at")
    check = named(look(unsent.examine_mails, engine=shop.engine), "given-up")
    assert check.verdict is Verdict.FAULT
    assert check.repair == "orderctl outbox resend --failed --kind summary"
    hook = named(look(unsent.examine_webhooks, engine=shop.engine), "given-up")
    assert hook.repair == "orderctl outbox resend --failed --kind webhook"


def test_without_receivers_all_is_skipped() -> None:
    for module in (mail_server, receivers):
        [check] = look(module.examine, ahead=module.look)
        assert check.verdict is Verdict.SKIPPED


def test_a_look_that_hangs_is_left_alone_and_one_that_fails_says_so() -> None:
    hanging = Begun(threading.Event().wait)
    with pytest.raises(TimeoutError):
        hanging.result(0.01)
    with pytest.raises(ZeroDivisionError):
        Begun(lambda: 1 / 0).result(10)
    assert Begun(lambda: 7).result(10) == 7
    assert Peers(load({}, environ={})).longest < 6
