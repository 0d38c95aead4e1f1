"""Receivers of webhooks that cannot be reached are named, without what is secret in their URLs; nothing is sent."""

import json
from pathlib import Path

import pytest

from orderctl.doctor import receivers
from orderctl.doctor.checks import Check, Verdict
from orderctl.settings import load
from tests.doctor.around import look, named, unwell
from tests.servers.process import free_port
from tests.servers.tls import TlsProxy

SECRET = "a secret of sixty-four characters, as openssl rand -hex 32 makes one"


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


def test_without_endpoints_they_are_skipped() -> None:
    [check] = look(receivers.examine, ahead=receivers.look)

    assert check.verdict is Verdict.SKIPPED


def test_a_host_that_is_no_name_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        "a..b".encode("idna")

    monkeypatch.setattr("socket.create_connection", refuse)

    assert "label empty" in named(hooks("https://hooks.example/", secret=SECRET), "endpoint").text
