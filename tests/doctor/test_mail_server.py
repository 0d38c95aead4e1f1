"""A mail server that takes no mails from us is named; nothing is sent."""

import time

import pytest
from aiosmtpd.smtp import AuthResult

from orderctl.doctor import mail_server
from orderctl.doctor.checks import Check, Verdict
from tests.doctor.around import look, named, unwell
from tests.servers.process import free_port
from tests.worker.conftest import Office

ADMIN = {"mail_admin": "admin@example.com"}


def mail(url: str, **more: str) -> list[Check]:
    return look(mail_server.examine, ahead=mail_server.look, mail_url=url, **more)


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


def test_without_a_mail_server_it_is_skipped() -> None:
    [check] = look(mail_server.examine, ahead=mail_server.look)

    assert check.verdict is Verdict.SKIPPED


def test_a_host_that_is_no_name_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderctl.worker.smtp.greet", lambda *_: "a..b".encode("idna"))

    assert "label empty" in named(mail("smtp://mail.example", **ADMIN), "smtp").text
