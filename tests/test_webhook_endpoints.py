"""The endpoints of webhooks in the settings: what is read, what is refused, and what is shown."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from orderctl import masking, settings, webhook_endpoints
from orderctl.errors import Misconfigured
from orderctl.setting_sections import Notify
from orderctl.states import ENDED_ORDER
from orderctl.webhook_endpoints import ALL, EVENTS, Endpoint

KEY = bytes(range(0, 250, 9))
STANDARD = f"whsec_{base64.b64encode(KEY).decode()}"
TEXT = "between us, and not to be guessed"
CRM = {"name": "crm", "url": "https://crm.example.com/orders"}
VARIABLE = "ORDERCTL_NOTIFY_ENDPOINT"


def load(*endpoints: dict[str, Any], **more: str) -> Notify:
    return settings.load(environ={VARIABLE: json.dumps(endpoints), **more}).notify


def test_endpoints_of_a_file(tmp_path: Path):
    (secret := tmp_path / "new").write_text(f"{STANDARD}\n")
    (old := tmp_path / "old").write_text(TEXT)
    secret.chmod(0o600)
    old.chmod(0o600)
    (file := tmp_path / "c.toml").write_text(f"""
        [notify]
        webhook_url = "https://shop.example.com/"
        webhook_secret = ["{STANDARD}", "{TEXT}"]
        events = ["task_failed"]
        [[notify.endpoint]]
        name = "crm"
        url = "https://crm.example.com/orders"
        secret_file = ["{secret}", "{old}"]
        [[notify.endpoint]]
        name = "stock"
        url = "https://stock.example.com/"
        events = ["order_*"]
    """)

    loaded = settings.load(config=file, environ={})

    assert webhook_endpoints.of(loaded.notify) == (
        Endpoint(
            "webhook", "https://shop.example.com/", (STANDARD, TEXT), ("task_failed",), "notify.webhook_url"
        ),
        Endpoint("crm", "https://crm.example.com/orders", (STANDARD, TEXT), ALL, "notify.endpoint crm"),
        Endpoint("stock", "https://stock.example.com/", (), ("order_*",), "notify.endpoint stock"),
    )
    assert loaded.secret_files == (secret, old)


def test_endpoints_of_the_environment_and_of_a_file_that_it_names(tmp_path: Path):
    (file := tmp_path / "endpoints.json").write_text(json.dumps([CRM], indent=2))
    file.chmod(0o600)

    assert load(CRM).endpoint == settings.load(environ={f"{VARIABLE}_FILE": str(file)}).notify.endpoint
    assert webhook_endpoints.of(load()) == ()


def test_blanks_around_a_secret_are_not_part_of_it():
    """It was taken for a text, with which no library verified."""
    assert load({**CRM, "secret": f" {STANDARD}\n"}).endpoint[0].secrets == (STANDARD,)


def test_the_events_are_those_that_there_are():
    assert {*EVENTS} == {f"order_{status}" for status in ENDED_ORDER} | {"task_failed"}
    assert [event for event in EVENTS if load({**CRM, "events": ["order_*"]}).endpoint[0].wants(event)] == [
        event for event in EVENTS if event.startswith("order_")
    ]


@pytest.mark.parametrize(
    ("wrong", "place", "said"),
    [
        ({"events": ["order_done"]}, "[2].events", f"some of {', '.join(EVENTS)}"),
        ({"events": []}, "[2].events", "at least one of"),
        ({"events": 5}, "[2].events", "needs strings"),
        ({"url": "ftp://h"}, "[2].url", "needs http"),
        ({"url": None}, "[2].url", "needs http"),
        ({"name": "Shop"}, "[2].name", "needs 1 to 32 characters"),
        ({"name": "crm"}, "[2].name", "a name of its own"),
        ({"name": "mail"}, "[2].name", "another name: mail stands for the mail"),
        ({"event": "x"}, "[2]", "unknown key event; allowed are name, url,"),
        ({"url_file": "/x"}, "[2].url_file", "only one of them"),
        ({"secret_file": "/not/there"}, "[2].secret_file", "cannot read"),
        ({"secret": []}, "[2].secret", "1 to 4 secrets"),
        ({"secret": [TEXT] * 5}, "[2].secret", "1 to 4 secrets"),
        ({"secret": "short"}, "[2].secret", "32 random characters"),
        ({"secret": "whsec_" + "!" * 40}, "[2].secret", "this is not base64"),
        ({"secret": f'"{STANDARD}"'}, "[2].secret", "begins with a quotation mark"),
        ({"secret": STANDARD.replace("whsec_", "WHSEC_")}, "[2].secret", "whsec_ is in capitals"),
        ({"secret": f"whsec_{base64.b64encode(KEY[:23]).decode()}"}, "[2].secret", "these are 23 bytes"),
        ({"secret": f"whsec_{base64.b64encode(bytes(32)).decode()}"}, "[2].secret", "1 different byte"),
    ],
)
def test_what_is_wrong_is_named(wrong: dict[str, Any], place: str, said: str):
    with pytest.raises(Misconfigured) as raised:
        load(CRM, {"name": "stock", "url": "https://h"} | wrong)

    assert f"setting notify.endpoint{place}" in str(raised.value)
    assert said in str(raised.value)
    assert raised.value.exit_status == 78


@pytest.mark.parametrize("value", ["{}", "crm", "[1]", "[" * 10_000, '[{"name": "crm"}'])
def test_what_are_no_endpoints_is_refused_with_the_form(value: str):
    with pytest.raises(Misconfigured, match=r"setting notify\.endpoint \(environment .*needs \[\[notify\."):
        settings.load(environ={VARIABLE: value})


def test_too_many_endpoints_and_two_of_one_name():
    with pytest.raises(Misconfigured, match="at most 20 endpoints; these are 21"):
        load(*[{"name": f"e{number}", "url": "https://h"} for number in range(21)])
    with pytest.raises(Misconfigured, match=r"webhook is the name of the endpoint of notify\.webhook_url"):
        load({**CRM, "name": "webhook"}, ORDERCTL_NOTIFY_WEBHOOK_URL="https://h")
    assert load({**CRM, "name": "webhook"}).endpoint[0].name == "webhook"


def test_endpoints_are_shown_and_logged_without_their_secrets():
    token, encoded = "T0123456789abcdef", STANDARD.removeprefix("whsec_")
    of_text = f"whsec_{base64.b64encode(TEXT.encode()).decode()}"
    given = [
        {"name": "crm", "url": f"https://u:geheim@crm.example.com/{token}?k=geheim", "secret": STANDARD},
        {"name": "stock", "url": "https://h", "secret": [of_text]},
    ]

    loaded = settings.load(environ={VARIABLE: json.dumps(given)})

    rows = {key: value for key, value, _ in loaded.shown()}
    assert rows["notify.endpoint"] == "crm https://***@crm.example.com/***, stock https://h"
    for text in (str(rows), repr(loaded), repr(loaded.notify), repr(loaded.notify.endpoint[0])):
        assert not [one for one in ("geheim", token, encoded, of_text) if one in text]
    assert masking.foreign(f"a {token} b {STANDARD} c {encoded.rstrip('=')} d {TEXT}") == (
        "a *** b *** c *** d ***"
    )
    masking.learn(())
