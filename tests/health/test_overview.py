"""The installation in a few numbers, and why it is not well."""

from datetime import timedelta

import pytest

from orderctl import broker, settings
from orderctl.clock import milliseconds
from orderctl.doctor import work
from orderctl.doctor.checks import Verdict
from orderctl.doctor.surroundings import Opened, Surroundings
from orderctl.errors import ExitStatus
from orderctl.health import causes, overview, revisions
from orderctl.health.overview import Failures, Overview, Workers
from orderctl.payments.transfer import Transfer
from orderctl.settings import Settings
from orderctl.states import ErrorType
from orderctl.worker import fleet, roster
from tests.shop import AMOUNT, Shop
from tests.test_relay_signs import SIGN, announce

NAME = "web1-4711-a3f9"


@pytest.fixture
def load(migrated_url: str, redis_url: str) -> Settings:
    return settings.load({"database.url": migrated_url, "redis.url": redis_url, "worker.concurrency": "2"})


def names(seen: Overview) -> list[str]:
    return [one.name for one in causes.find(seen)]


def beat(load: Settings, *, name: str = NAME, draining: bool = False) -> None:
    with broker.brisk(broker.url(load)) as client:
        fleet.announce(client, load, name, started=milliseconds(), draining=draining)


def test_the_numbers_are_those_of_the_shop_on_each_database(
    shop: Shop, load: Settings, monkeypatch: pytest.MonkeyPatch
):
    shop.paid("DH1", 5)
    shop.paid("DH2")
    shop.fail(1, ErrorType.DISK_SPACE, "disk full")
    shop.claimed(2, worker=f"{NAME}.worker-1")
    shop.claimed(3, worker="gone-1-a3f9.worker-1")
    shop.fail(4, ErrorType.NETWORK, again=True)
    beat(load)
    beat(load, name="web2-4711-a3f9", draining=True)
    with broker.brisk(broker.url(load)) as client:
        announce(client, SIGN)

    seen = overview.look(load)

    assert seen.numbers is not None
    assert seen.queue is not None
    assert seen.workers is not None
    assert seen.relays == [SIGN]
    assert seen.numbers.stats.orders["pending"] + seen.numbers.stats.orders["processing"] == 2
    assert seen.numbers.stats.tasks["failed"] == 1
    assert seen.numbers.failures == Failures({"DISK_SPACE": 1}, {"NETWORK": 1}, at_least=False)
    assert (seen.queue.waiting, seen.queue.paused, seen.queue.reason) == (2, False, None)
    assert seen.queue.waited is not None
    assert timedelta(0) <= seen.queue.waited < timedelta(minutes=1)
    assert seen.workers == Workers(supervisors=2, workers=4, busy=1, draining=1, lost=1)
    assert names(seen) == []
    assert causes.exit_status(seen, []) is ExitStatus.DONE
    monkeypatch.setattr(overview, "MOST_FAILURES", 1)
    assert shop.read(overview.count).failures.at_least is True


@pytest.mark.databases("sqlite")
def test_each_cause_is_found_with_its_command(shop: Shop, load: Settings):
    shop.paid("DH1", 12)
    found = {one.name: one.line for one in causes.find(overview.look(load))}
    assert found == {"tasks-wait": "12 tasks wait: no worker is running: orderctl worker start"}

    beat(load, draining=True)
    [draining] = causes.find(overview.look(load))
    assert draining.text == "12 tasks wait: the workers are draining and take no more tasks"

    beat(load)
    with broker.brisk(broker.url(load)) as client:
        fleet.pause(client, load.worker.queue)
        assert names(overview.look(load)) == ["tasks-wait"]
        fleet.resume(client, load.worker.queue)

    shop.execute("UPDATE download_tasks SET available_at = '2026-01-01 00:00:00'")
    assert names(overview.look(load)) == ["behind"]

    for task in range(1, 11):
        shop.fail(task)
    shop.execute("UPDATE download_tasks SET ready = 0")
    shop.receive(Transfer("sepay", AMOUNT, provider_id="1", code="NONE"))
    shop.execute("UPDATE orderctl_outbox SET due_at = '2026-01-01 00:00:00'")
    seen = overview.look(load)
    assert names(seen) == ["failures", "messages-late", "payments-wait"]
    assert causes.find(seen)[0].text == "10 tasks have failed in the last hour, most of them with NETWORK"
    assert causes.exit_status(seen, causes.find(seen)) is ExitStatus.FAILED

    shop.execute(
        "UPDATE orderctl_outbox SET due_at = '9999-12-31 00:00:00.000000', failed_at = '2026-01-01 00:00:00'"
    )
    assert names(overview.look(load)) == ["failures", "messages-given-up", "payments-wait"]


@pytest.mark.databases("sqlite")
def test_a_paused_queue_is_a_cause_though_no_task_waits(shop: Shop, load: Settings):
    with broker.brisk(broker.url(load)) as client:
        fleet.pause(client, load.worker.queue)

    assert [one.line for one in causes.find(overview.look(load))] == [
        "the queue is paused: orderctl worker resume"
    ]


@pytest.mark.databases("sqlite")
def test_workers_that_are_all_frozen_are_a_cause_and_a_fault_though_their_supervisor_lives(
    shop: Shop, load: Settings
):
    shop.paid("DH1")
    beat(load)
    with broker.brisk(broker.url(load)) as client:
        for number, left in ((1, 50), (2, 0)):  # as Redis is some time after SIGSTOP
            name = f"rq:worker:{NAME}.worker-{number}.1"
            client.sadd("rq:workers:orderctl", name)
            if left:
                client.hset(name, "state", "idle")
                client.expire(name, left)
        [frozen] = causes.find(overview.look(load))
        around = Surroundings(load, Opened(shop.engine), Opened(client))
        check = next(one for one in work.fleet_of(around) if one.name == "workers")
        states = shop.read(lambda c: [one.state for one in roster.find_all(c, client)])
        client.expire(f"rq:worker:{NAME}.worker-1.1", 80)
        assert names(overview.look(load)) == []

    assert (frozen.name, frozen.command) == ("workers-frozen", "orderctl worker start")
    assert "1 task waits" in frozen.text
    assert states == ["frozen", "frozen"]
    assert (check.verdict, check.repair) == (Verdict.FAULT, "orderctl worker start")


@pytest.mark.databases("sqlite")
def test_what_one_store_knows_is_shown_while_the_other_is_down(shop: Shop, load: Settings, redis_server):
    shop.paid("DH1")
    without = settings.load({"database.url": str(load.database.url), "redis.url": "redis://127.0.0.1:1"})

    seen = overview.look(without)

    assert (seen.relays, seen.workers) == (None, None)
    assert seen.queue is not None
    assert (seen.queue.waiting, seen.queue.paused) == (1, None)
    assert names(seen) == ["redis-down"]  # that a task waits follows from it
    assert causes.exit_status(seen, causes.find(seen)) is ExitStatus.UNAVAILABLE

    without = settings.load({"database.url": "mysql://127.0.0.1:1/shop", "redis.url": str(load.redis.url)})
    seen = overview.look(without)
    assert (seen.relays, seen.numbers) == ([], None)
    assert names(seen) == ["database-down"]


@pytest.mark.databases("sqlite")
def test_pending_revisions_are_a_matter_of_the_configuration(shop: Shop, load: Settings):
    shop.execute(f"UPDATE orderctl_version SET version_num = '{revisions.known()[-2]}'")
    seen = overview.look(load)
    assert [one.line for one in causes.find(seen)] == [
        "1 revision of the database is pending: orderctl migrate up"
    ]
    assert causes.exit_status(seen, causes.find(seen)) is ExitStatus.CONFIGURATION

    shop.execute("UPDATE orderctl_version SET version_num = '9999'")
    assert names(overview.look(load)) == ["newer-database"]

    shop.execute("DROP TABLE orderctl_outbox")
    seen = overview.look(load)
    assert names(seen) == ["not-migrated"]
    assert causes.exit_status(seen, causes.find(seen)) is ExitStatus.CONFIGURATION
