"""The metrics of a supervisor, and the alert rules about them."""

import logging
import os
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update

from orderctl import database, settings, unsent
from orderctl.payments.transfer import Transfer
from orderctl.relay import metrics as relay_metrics
from orderctl.schema import download_tasks, outbox
from orderctl.worker import exposition, fleet
from orderctl.worker.exposition import Exposition, Target
from orderctl.worker.heartbeat import StopRequest
from orderctl.worker.scores import Board, Outcome
from tests.faults.chaos.hosts import children
from tests.faults.world import World
from tests.servers.process import free_port
from tests.shop import AMOUNT, Shop
from tests.test_shell_blocks import calls, parse
from tests.waiting import eventually

pytestmark = pytest.mark.databases("sqlite")

RULES = Path(__file__).parents[2] / "docs" / "prometheus" / "orderctl.rules.yml"


def read(text: str) -> dict[str, float]:
    """Return the samples by name and labels."""
    return {
        sample.name + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def look(flags: dict[str, str], board: Board | None = None) -> dict[str, float]:
    load = settings.load(flags)
    shown = Exposition(board or Board(1))
    engine = database.connect(database.url(load))
    shown.seen = exposition._look(load, engine)
    engine.dispose()
    return read(shown.text().decode())


def test_the_numbers_are_those_of_the_stores_and_of_the_supervisor(
    shop: Shop, migrated_url: str, redis_url: str
):
    shop.paid("DH1", 3)
    shop.claimed(1, worker="web1-4711-a3f9.worker-1")
    shop.receive(Transfer("sepay", AMOUNT, provider_id="1", code="NONE"))  # one message, for the admins
    long_ago = database.utc_now(-7200)
    shop.transact(lambda c: c.execute(update(download_tasks).values(available_at=long_ago)))
    shop.transact(lambda c: c.execute(update(outbox).values(due_at=long_ago)))
    board = Board(1)
    board.score(1).end(Outcome.LEASE_LOST)
    flags = {"database.url": migrated_url, "redis.url": redis_url, "worker.concurrency": "4"}
    load = settings.load(flags)
    with exposition.closing(exposition.broker.brisk(redis_url)) as client:
        fleet.announce(client, load, "web1-4711-a3f9", started=1)

    found = look(flags, board)

    assert (found["orderctl_database_up"], found["orderctl_redis_up"]) == (1, 1)
    assert found["orderctl_queue_tasks"] == 2
    assert 7200 <= found["orderctl_queue_oldest_seconds"] < 7260
    assert (found["orderctl_workers state=alive"], found["orderctl_workers state=busy"]) == (4, 1)
    assert found["orderctl_outbox_messages state=waiting"] == 1
    assert found["orderctl_outbox_messages state=given_up"] == 0
    assert 7200 <= found["orderctl_outbox_oldest_due_seconds"] < 7260
    assert found["orderctl_payments_waiting outcome=unmatched"] == 1
    assert found["orderctl_payments_waiting outcome=surplus"] == 0
    assert found["orderctl_worker_attempts_total error_type= outcome=lease_lost"] == 1
    assert found["orderctl_worker_lease_losses_total"] == 1
    assert found["orderctl_worker_phase_seconds_count phase=enroll"] == 0


def test_what_a_store_that_is_down_would_say_is_missing(migrated_url: str):
    found = look({"database.url": migrated_url, "redis.url": "redis://127.0.0.1:1"})
    assert (found["orderctl_database_up"], found["orderctl_redis_up"]) == (1, 0)
    assert "orderctl_queue_tasks" in found
    assert "orderctl_queue_paused" not in found

    found = look({"database.url": "mysql://127.0.0.1:1/shop", "redis.url": "redis://127.0.0.1:1"})
    assert (found["orderctl_database_up"], found["orderctl_redis_up"]) == (0, 0)
    assert "orderctl_queue_tasks" not in found
    assert "orderctl_worker_attempts_total error_type= outcome=killed" in found


def test_a_database_that_is_down_hides_nothing_of_redis(redis_url: str):
    flags = {"database.url": "mysql://127.0.0.1:1/shop", "redis.url": redis_url, "worker.concurrency": "4"}
    with exposition.closing(exposition.broker.brisk(redis_url)) as client:
        fleet.announce(client, settings.load(flags), "web1-4711-a3f9", started=1, draining=True)

    found = look(flags)

    assert (found["orderctl_database_up"], found["orderctl_redis_up"]) == (0, 1)
    assert (found["orderctl_queue_paused"], found["orderctl_supervisors"]) == (0, 1)
    assert (found["orderctl_workers state=alive"], found["orderctl_workers state=draining"]) == (4, 4)
    assert "orderctl_workers state=busy" not in found


def test_a_process_that_shows_the_metrics_anew_shows_the_supervisors_start():
    board = Board(1)
    board.began -= 60

    found = [read(Exposition(board).text().decode()) for _ in range(2)]

    assert [one["orderctl_worker_start_time_seconds"] for one in found] == [board.began] * 2


def test_numbers_end_where_the_page_says():
    shown = Exposition(Board(1))
    messages = unsent.Messages(waiting=100_001, given_up=100_001, since=None)
    shown.seen = exposition._Seen(queue=(200_002, 0.0), messages=messages, payments={"unmatched": 10_001})

    found = read(shown.text().decode())

    assert found["orderctl_queue_tasks"] == 100_000
    assert found["orderctl_outbox_messages state=waiting"] == 100_000
    assert found["orderctl_outbox_messages state=given_up"] == 100_000
    assert found["orderctl_payments_waiting outcome=unmatched"] == 10_000


def test_a_file_that_cannot_be_written_is_said_once_and_at_the_end_it_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    file, stop, seen = tmp_path / "later" / "orderctl.prom", StopRequest(), list[bool]()

    def rest(_seconds: float, _over: Callable[[], bool]) -> None:
        seen.append(file.exists())
        if len(seen) == 2:
            file.parent.mkdir()
        stop.made = len(seen) == 3

    monkeypatch.setattr(exposition.rounds, "stop_on_sigterm", lambda: stop)
    monkeypatch.setattr(exposition.clock, "rest", rest)
    load = settings.load({"database.url": "mysql://127.0.0.1:1/shop", "redis.url": "redis://127.0.0.1:1"})
    with caplog.at_level(logging.WARNING, exposition.__name__):
        exposition.show(load, Board(1), Target(file=file))

    assert caplog.messages == [f"cannot write {file}: No such file or directory"]
    assert (seen, file.exists()) == ([False, False, True], False)


def test_nothing_is_up_or_down_before_the_first_look():
    assert not {name for name in read(Exposition(Board(1)).text().decode()) if name.endswith("_up")}


def test_the_rules_name_commands_that_exist():
    commands = re.findall(r"^ +command: (.+)$", RULES.read_text(), re.MULTILINE)

    parsed = [arguments for line in commands for arguments in calls(line)]

    assert len(parsed) == len([line for line in commands if line.startswith("orderctl ")]) > 10
    for arguments in parsed:
        parse(arguments)


def test_the_rules_name_metrics_that_exist_and_commands(migrated_url: str):
    rules = RULES.read_text()
    shown = {name.partition(" ")[0] for name in look({"database.url": migrated_url})}
    lines = Exposition(Board(1)).text().decode().splitlines()
    shown |= {line.split(" ")[2] for line in lines if line.startswith("# TYPE")}
    of_relay = set(re.findall(r'"(\w+)"', Path(relay_metrics.__file__).read_text()))

    named = {name for name in re.findall(r"orderctl_\w+", rules) if name != "orderctl_"}
    unknown = {name for name in named - shown if name.removeprefix("orderctl_relay_") not in of_relay}

    assert len(named) > 10
    assert unknown == set()
    alerts = rules.count("- alert: ")
    assert alerts == rules.count("  expr: ") == rules.count("  severity: ")
    assert alerts == rules.count("  summary: ") == rules.count("  command: ")


def test_counters_are_of_all_processes_and_live_as_long_as_the_supervisor(world: World, tmp_path: Path):
    file, port = tmp_path / "orderctl.prom", free_port()
    world.shop.paid("DH1", [world.course("/go"), f"{world.courses.url}/none"])

    def counted() -> dict[str, float]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                found = read(answer.read().decode())
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return {}
        return {name: value for name, value in found.items() if "_attempts_total" in name and value}

    expected = {
        "orderctl_worker_attempts_total error_type= outcome=completed": 1.0,
        "orderctl_worker_attempts_total error_type=NOT_FOUND outcome=failed": 1.0,
    }
    with world.supervisor("--metrics-port", str(port), "--metrics-file", str(file)) as process:
        eventually(lambda: counted() == expected, "both attempts")
        before = children(process.pid)
        for child in before:
            os.kill(child, signal.SIGKILL)
        eventually(lambda: len(set(children(process.pid)) - set(before)) == len(before), "new processes")
        eventually(lambda: counted() == expected, "the same numbers")
        eventually(lambda: 'outcome="completed"} 1.0' in file.read_text(), "the file")
        process.kill()
        process.wait()
        eventually(lambda: counted() == {}, "the end of the metrics")
