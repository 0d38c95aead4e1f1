"""``orderctl status``."""

import json
import socket
import time
from contextlib import closing

import pytest
from sqlalchemy import update

from orderctl import broker, database, settings
from orderctl.choices import Seen
from orderctl.health import overview
from orderctl.operations import making
from orderctl.operations.making import NewOperation
from orderctl.operations.records import Kind
from orderctl.schema import operations
from orderctl.states import ErrorType
from orderctl.worker import fleet
from tests.cli.conftest import Program
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")


def test_a_shop_that_is_well_is_said_to_be(shop: Shop, inside: Program):
    shop.paid()
    shop.execute("UPDATE download_tasks SET ready = 0")
    shown, quiet, data = inside("status"), inside("status", "--quiet"), inside("status", "-o", "json")

    assert (shown.status, shown.err) == (0, "")
    assert [line.split()[0] for line in shown.out.splitlines()] == [
        "database", "redis", "relays", "workers", "queue", "paid", "tasks", "failures", "outbox", "payments",
        "operations", "All",
    ]  # fmt: skip
    assert (quiet.status, quiet.out, quiet.err) == (0, "", "")
    found = json.loads(data.out)
    assert (found["state"], found["causes"]) == ("well", [])
    assert found["database"]["migration"]["current"] is True
    assert found["redis"]["role"] == "primary"
    assert found["queue"]["waiting"] == 0
    assert found["workers"]["supervisors"] == 0
    assert found["operations"] == {"running": 0, "settling": 0, "stopped": 0}


def test_operations_are_counted_and_one_that_was_stopped_is_no_cause(shop: Shop, inside: Program):
    states = ["running", "canary", "settling", "stopping", "stopped", "stopped", "finished"]
    new = NewOperation(Kind.RETRY, "anna@desk")
    for number, state in enumerate(states):
        made = making.make(shop.engine, new, [(1, Seen("failed", 1))])
        assert made is not None
        ended = database.utc_now(-100_000 if number == states.index("stopped") else -60)
        one = update(operations).where(operations.c.id == made.id)
        shop.transact(
            lambda c, one=one, state=state, ended=ended: c.execute(one.values(state=state, ended_at=ended))
        )
    shown = inside("status")
    assert (
        shown.status,
        "operations   2 running · 1 settling · 2 stopped in the last day\n" in shown.out,
    ) == (
        0,
        True,
    )
    found = json.loads(inside("status", "-o", "json").out)
    assert (found["operations"], found["causes"]) == ({"running": 2, "settling": 1, "stopped": 2}, [])


def test_what_is_wrong_is_said_with_the_command_that_helps(shop: Shop, inside: Program):
    shop.paid()
    cause = "1 task waits: no worker is running: orderctl worker start"
    shown, quiet, data = inside("status"), inside("status", "--quiet"), inside("status", "-o", "json")

    assert (shown.status, shown.out.splitlines()[-1]) == (1, f"! {cause}")
    assert (quiet.status, quiet.out, quiet.err) == (1, "", f"{cause}\n")
    found = json.loads(data.out)
    assert (data.status, found["state"]) == (1, "degraded")
    assert found["causes"] == [
        {
            "name": "tasks-wait",
            "text": "1 task waits: no worker is running",
            "command": "orderctl worker start",
            "explanation": None,
        }
    ]


def test_what_may_pass_by_itself_is_shown_beside_what_has_failed(
    shop: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch, migrated_url: str, redis_url: str
):
    shop.paid("DH1", 3)
    shop.fail(1, ErrorType.DISK_SPACE)
    shop.fail(2, again=True)
    shop.claimed(3, worker="gone-1-a3f9.worker-1")
    load = settings.load({"database.url": migrated_url, "redis.url": redis_url, "worker.concurrency": "2"})
    with closing(broker.brisk(redis_url)) as client:
        fleet.announce(client, load, "web1-4711-a3f9", started=1, draining=True)

    shown = inside("status").out.splitlines()
    monkeypatch.setattr(overview, "MOST_FAILURES", 1)
    newest, found = inside("status").out, json.loads(inside("status", "-o", "json").out)

    failures = "1 DISK_SPACE · to be tried again: 1 NETWORK"
    assert f"failures     last hour: {failures}" in shown
    assert "workers      2 alive · 0 busy · 1 supervisor · 1 draining · 1 without a heartbeat" in shown
    assert f"failures     last hour (the newest): {failures}\n" in newest
    assert found["failures"] == {"failed": {"DISK_SPACE": 1}, "tried_again": {"NETWORK": 1}}
    assert found["at_least"] == ["failures.failed", "failures.tried_again"]
    assert (found["workers"]["draining"], found["workers"]["lost"]) == (1, 1)


@pytest.mark.parametrize("down", [{"DATABASE"}, {"REDIS"}, {"DATABASE", "REDIS"}], ids=sorted)
@pytest.mark.parametrize("how", ["refused", "silent"])
def test_each_store_may_be_down(down, how, shop: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1] if how == "silent" else 1
        urls = {"DATABASE": f"mysql://shop@127.0.0.1:{port}/shop", "REDIS": f"redis://127.0.0.1:{port}"}
        for name in down:
            monkeypatch.setenv(f"ORDERCTL_{name}_URL", urls[name])
        began = time.monotonic()
        ended = inside("status")

    assert time.monotonic() - began < 5
    assert ended.status == 69
    assert ended.err == ""
    lines = ended.out.splitlines()
    assert [line.split()[0].upper() for line in lines if " down · " in line] == sorted(down)
    assert len([line for line in lines if line.startswith("! ")]) == len(down)


def test_a_database_without_tables_and_a_wrong_url_are_settings(inside: Program, monkeypatch, tmp_path):
    monkeypatch.setenv("ORDERCTL_STATE_DIR", str(tmp_path / "state"))
    ended = inside("status", "--quiet")
    assert ended.status == 78
    assert ended.err.endswith("(setting database.url, default): orderctl migrate up\n")
    assert not (tmp_path / "state").exists()

    monkeypatch.setenv("ORDERCTL_REDIS_URL", "redis://u:secret-word@127.0.0.1/0?nonsense=1")
    ended = inside("status")
    assert ended.status == 78
    assert "secret-word" not in ended.out + ended.err


def test_an_account_that_may_only_read_suffices(shop: Shop, inside: Program, tmp_path):
    shop.paid()
    (tmp_path / "migrated.db").chmod(0o400)

    ended = inside("status")

    assert ended.status == 1
    assert "1 waiting" in ended.out
