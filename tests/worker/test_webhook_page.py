"""docs/webhooks.md: its snippets verify what the courier sends, and what it shows is what comes."""

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path
from time import time
from typing import Any

import pytest
from standardwebhooks import WebhookVerificationError

from orderctl import failures, webhook_endpoints
from orderctl.webhook_endpoints import Endpoint
from orderctl.worker import settlement, webhook
from tests.faults.world import World
from tests.shop import Shop
from tests.waiting import SOON
from tests.worker.conftest import Hook, ended_order, send

PAGE = (Path(__file__).parents[2] / "docs/webhooks.md").read_text(encoding="utf-8")
OLD = f"whsec_{base64.b64encode(bytes(range(0, 250, 9))).decode()}"
NEW = f"whsec_{base64.b64encode(bytes(range(1, 250, 9))).decode()}"
WRONG = f"whsec_{base64.b64encode(bytes(range(2, 250, 9))).decode()}"

Case = tuple[str, bytes, dict[str, str], str, bool]


def shown(name: str) -> str:
    """Return the example below the comment that names it."""
    [example] = re.findall(
        rf"<!-- checked by tests/worker/test_webhook_page.py: {name} -->\n```\w*\n(.*?)```", PAGE, re.DOTALL
    )
    return example


@pytest.fixture
def cases(world: World, receiver_alone: Hook) -> list[Case]:
    """What a receiver may get, made from a delivery of the courier: the secret it has, and whether it is right."""
    endpoint = {"name": "crm", "url": receiver_alone.url, "secret": [NEW, OLD]}
    world.more |= {
        "ORDERCTL_NOTIFY_WEBHOOK_URL": "",
        "ORDERCTL_NOTIFY_ENDPOINT": json.dumps([endpoint]),
    }
    ended_order(world)
    send(world)
    [(given, body)] = receiver_alone.requests
    headers = {name.lower(): value for name, value in given.items()}

    def at(seconds: float) -> dict[str, str]:
        return headers | webhook.signed([OLD], headers["webhook-id"], int(time() + seconds), body)

    return [
        ("the newest secret", body, headers, NEW, True),
        ("an older secret", body, headers, OLD, True),
        ("a wrong secret", body, headers, WRONG, False),
        ("a changed body", body.replace(b"order_completed", b"order_cancelled"), headers, NEW, False),
        ("another id", body, headers | {"webhook-id": "msg_0"}, NEW, False),
        ("another time", body, headers | {"webhook-timestamp": str(int(time()) + 9)}, NEW, False),
        ("four minutes ago", body, at(-240), OLD, True),
        ("six minutes ago", body, at(-360), OLD, False),
        ("in six minutes", body, at(360), OLD, False),
        ("no signature", body, headers | {"webhook-signature": ""}, NEW, False),
        ("a signature of no form", body, headers | {"webhook-signature": "v1,é v2 v1,"}, NEW, False),
        ("no headers", body, {}, NEW, False),
    ]


def results(cases: list[Case]) -> dict[str, bool]:
    return {name: right for name, _, _, _, right in cases}


@pytest.mark.databases("sqlite")
def test_the_snippets_verify_what_the_courier_sends(cases: list[Case], tmp_path: Path) -> None:
    """Both, and the package: one delivery is enough."""
    exec(shown("verify.py"), python := {})
    found = {name: python["verify"](body, headers, secret) for name, body, headers, secret, _ in cases}
    assert found == results(cases)

    assert _by_the_package(cases) == results(cases)

    assert _in_node(cases, tmp_path) == results(cases)
    for name in ("verify.py", "verify.js"):
        assert len(shown(name).splitlines()) <= 10


def _by_the_package(cases: list[Case]) -> dict[str, bool]:
    found = {}
    for name, body, headers, secret, _ in cases:
        names = {"body": body, "headers": headers, "secret": secret}
        try:
            exec(shown("package.py"), names)
        except (WebhookVerificationError, ValueError):  # ValueError: one that has not even the form
            found[name] = False
        else:
            found[name] = names["event"] == json.loads(body)
    return found


def _in_node(cases: list[Case], folder: Path) -> dict[str, bool]:
    node = shutil.which("node")
    assert node, "Node.js is missing"
    given = [
        {"name": name, "body": base64.b64encode(body).decode(), "headers": headers, "secret": secret}
        for name, body, headers, secret, _ in cases
    ]
    (folder / "verify.js").write_text(
        shown("verify.js")
        + f"const cases = {json.dumps(given)};\n"
        + "const one = (it) => [it.name, verify(Buffer.from(it.body, 'base64'), it.headers, it.secret)];\n"
        + "console.log(JSON.stringify(Object.fromEntries(cases.map(one))));\n"
    )
    done = subprocess.run(
        [node, str(folder / "verify.js")], capture_output=True, text=True, check=True, timeout=SOON
    )
    found: dict[str, bool] = json.loads(done.stdout)
    return found


@pytest.mark.databases("sqlite")
def test_webhooks_have_the_fields_that_are_shown(shop: Shop) -> None:
    [task_id] = shop.paid()

    shop.transact(
        lambda c: failures.report(c, task_id, failures.describe("disk full"), source="python_worker")
    )

    task, order = (row.payload for row in shop.outbox() if row.kind == "webhook")
    assert task.keys() == json.loads(shown("task")).keys()
    assert order.keys() == json.loads(shown("order")).keys()
    assert [task["source"], order["source"]] == ["python_worker"] * 2


def test_headers_and_events_are_those_of_the_page(receiver_alone: Hook) -> None:
    webhook.post(Endpoint("crm", receiver_alone.url, (OLD,)), {"event": "x"}, "order:7:round:0:webhook")

    [(headers, _)] = receiver_alone.requests
    ours = {name for name in headers if name.startswith(("webhook-", "X-"))}
    assert set(re.findall(r"^\| `((?:webhook|X)-[\w-]+)` \|", PAGE, re.MULTILINE)) == ours
    assert tuple(re.findall(r"^\| `((?:order|task)_\w+)` \|", PAGE, re.MULTILINE)) == webhook_endpoints.EVENTS


def test_a_text_becomes_a_secret_as_the_page_says() -> None:
    [command] = re.findall(r"^    (echo \"whsec_.*)$", PAGE, re.MULTILINE)
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=SOON)

    assert webhook_endpoints.key_of(done.stdout.strip()) == b"the text of the secret"


def test_the_tries_come_when_the_page_says(monkeypatch: pytest.MonkeyPatch) -> None:
    units = {"s": 1, "min": 60, "h": 3600}
    rows = re.findall(r"^\| (\d+) \| (\d+) (s|min|h) \| (\d+) (s|min|h) \|$", PAGE, re.MULTILINE)

    for chance, first in ((0.5, 1), (1.0, 3)):
        monkeypatch.setattr(settlement.random, "uniform", lambda *_, chance=chance: chance)
        for row in rows:
            seconds = sum(_pause(tries) for tries in range(1, int(row[0])))
            unit = units[row[first + 1]]
            assert abs(seconds / unit - int(row[first])) < 1, row
    assert [int(row[0]) for row in rows][-1] == settlement._MOST_TRIES


def _pause(tries: int) -> float:
    class Tried:
        attempts = tries

    tried: Any = Tried()
    return settlement._pause(tried, OSError(), settlement._LONGEST_PAUSE)
