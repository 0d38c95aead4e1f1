"""Each fault of settings, database, workers, orders and the audit log is planted, found, named and repaired."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from orderctl import audit_counting
from orderctl.doctor import audit_log
from tests.doctor.conftest import Examined
from tests.relay.conftest import SECRET
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")

Doctor = Callable[..., Examined]

NUMBERS = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {0})"
INDEX = "ix_orderctl_orders_created_at_id"


@dataclass(frozen=True)
class Planted:
    """A fault that is planted.

    Attributes:
        plant: Plants it.
        verdict: What the check says of it.
        text: Some words of the check's text.
        repair: The check's repair.
        status: The doctor's exit code.
        heals: Whether the repair heals it; otherwise it only has to run.
        also: Other checks that find something, too.
    """

    plant: Callable[[Shop], object]
    verdict: str
    text: str
    repair: str
    status: int = 1
    heals: bool = True
    also: frozenset[str] = frozenset()


def lose_worker(shop: Shop, seconds: int = 3600) -> None:
    [task] = shop.paid("DH1")
    shop.claimed(task, worker="host-1.worker-0")
    shop.expire(task, seconds)


def silence(shop: Shop) -> None:
    [task] = shop.paid("DH1")
    shop.claimed(task, worker="host-1.worker-0")


def leave_unended(shop: Shop) -> None:
    shop.paid("DH1")
    shop.execute("UPDATE download_tasks SET status = 'completed', lease_token = NULL")


def remove_tasks(shop: Shop) -> None:
    shop.paid("DH1")
    shop.execute("DELETE FROM order_audit_logs")
    shop.execute("DELETE FROM download_tasks")


def leave_orphan(shop: Shop) -> None:
    [task] = shop.paid("DH1")
    shop.orphan(task)
    shop.execute("UPDATE orders SET order_status = 'completed'")


def write_unknown(shop: Shop) -> None:
    shop.add("DH1")
    shop.execute("UPDATE orders SET order_status = 'on hold'")


def write_local_times(shop: Shop) -> None:
    shop.add("DH1")
    later = shop.now() + timedelta(hours=7)
    shop.execute(
        "UPDATE orders SET created_at = :later",
        later=later.replace(tzinfo=None).isoformat(" ", "microseconds"),
    )


def write_many_events(shop: Shop) -> None:
    order = shop.add("DH1")
    add_events(shop, 20_300, order, "'system'", "'now'")


def lose_events(shop: Shop) -> None:
    order = shop.add("DH1")
    add_events(shop, 300, order, "'system'", "'now'")
    audit_counting.catch_up(shop.engine)
    shop.execute("DELETE FROM order_audit_logs WHERE id < 50")


def add_events(shop: Shop, number: int, order: int | str, category: str, moment: str) -> None:
    """Write events as the shop would, many at once."""
    shop.execute(
        f"{NUMBERS.format(number)} INSERT INTO order_audit_logs (order_id, event_type, event_category, severity, message,"
        f" source, created_at) SELECT {order}, 'note', {category}, 'info', 'x', 'shop',"
        f" strftime('%Y-%m-%d %H:%M:%f000', {moment}) FROM n"
    )


def go_back(shop: Shop) -> None:
    shop.execute("UPDATE orderctl_version SET version_num = '0005'")


FAULTS = {
    "complete": Planted(
        lambda shop: shop.execute(f"DROP INDEX {INDEX}"),
        "fault",
        f"missing or cut down: index {INDEX}",
        "orderctl migrate up",
    ),
    "migrated": Planted(go_back, "fault", "0005, pending: 0006", "orderctl migrate up", status=78),
    "optional-parts": Planted(
        lambda shop: shop.execute("DROP VIEW v_order_latest_events"),
        "note",
        "v_order_latest_events",
        "orderctl migrate up",
        status=0,
    ),
    "future-times": Planted(
        write_local_times,
        "warning",
        "the newest times in orders.created_at lie 7.0 h in the future",
        "export ORDERCTL_DATABASE_TIME_ZONE=+07:00",
        status=0,
    ),
    "expired-leases": Planted(
        lose_worker,
        "fault",
        "the workers of 1 task were lost: 1",
        "orderctl reconcile",
    ),
    "expired-leases just now": Planted(
        lambda shop: lose_worker(shop, seconds=3),
        "note",
        "the leases of 1 task have just expired: 1",
        "orderctl reconcile",
        status=0,
    ),
    "silent-supervisors": Planted(
        silence,
        "warning",
        "supervisor host-1 holds 1 task and sends no heartbeat",
        "orderctl worker list",
        status=0,
        heals=False,
    ),
    "doorbell": Planted(
        lambda shop: shop.paid("DH1"),
        "warning",
        "1 task due, without a job in the queue: 1",
        "orderctl reconcile",
        also=frozenset({"workers"}),
    ),
    "unended": Planted(
        leave_unended,
        "fault",
        "all tasks of 1 paid order have ended, and the order has not: 1",
        "orderctl reconcile --fix",
    ),
    "without-tasks": Planted(
        remove_tasks, "fault", "1 paid order without tasks: 1", "orderctl orders show 1", heals=False
    ),
    "orphans": Planted(
        leave_orphan,
        "fault",
        "the orders of 1 task do not exist: 1",
        "orderctl reconcile --check",
        heals=False,
    ),
    "unknown-statuses": Planted(
        write_unknown,
        "warning",
        "'on hold' in orders.order_status, which orderctl does not know: 1 row",
        "export ORDERCTL_RECONCILE_EXPECTED_STATUSES='on hold'",
        status=0,
    ),
    "counting": Planted(
        write_many_events,
        "warning",
        "more than 20,000 events of the audit log are not counted yet",
        "orderctl logs summary",
        status=0,
    ),
    "counting after a deletion": Planted(
        lose_events,
        "warning",
        "the counts of events do not belong to this audit log",
        "orderctl logs summary --recount",
        status=0,
    ),
}
AREAS = {
    "expired-leases": "workers",
    "silent-supervisors": "workers",
    "doorbell": "workers",
    "unended": "orders",
    "without-tasks": "orders",
    "orphans": "orders",
    "unknown-statuses": "orders",
    "counting": "audit",
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_named_and_repaired(
    name: str, shop: Shop, doctor: Doctor, carry_out: Callable[[str], int]
) -> None:
    planted, name = FAULTS[name], name.partition(" ")[0]
    only = ("--only", AREAS.get(name, "database"))
    planted.plant(shop)

    found = doctor(*only)

    [check] = found.of(name)
    assert (check["verdict"], check["repair"]) == (planted.verdict, planted.repair)
    assert planted.text in check["text"]
    expected = {name} if planted.verdict in {"warning", "fault"} else set()
    assert found.unwell() == expected | planted.also
    assert found.status == planted.status

    assert carry_out(planted.repair) in {0, 1}
    left = doctor(*only).of(name)
    assert {check["verdict"] for check in left} <= ({"well"} if planted.heals else {planted.verdict})


def test_a_shop_without_faults_is_well(shop: Shop, doctor: Doctor) -> None:
    found = doctor()

    assert (found.status, found.unwell()) == (0, set())


def test_due_tasks_that_no_worker_takes_are_a_fault(shop: Shop, doctor: Doctor) -> None:
    shop.paid("DH1", 2)

    [check] = doctor("--only", "workers").of("workers")

    assert check == check | {
        "verdict": "fault",
        "text": "no worker is running; 2 tasks due",
        "repair": "orderctl worker start",
        "value": 2,
    }


def test_a_database_of_a_newer_version_is_not_repaired_by_a_migration(shop: Shop, doctor: Doctor) -> None:
    shop.execute("UPDATE orderctl_version SET version_num = '9999'")

    found = doctor("--only", "database")

    [check] = found.of("migrated")
    assert (found.status, check["verdict"], check["repair"]) == (78, "fault", None)
    assert "newer" in check["explanation"]


def test_rows_from_before_the_time_zone_was_set_are_named(
    shop: Shop, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for task in shop.paid("DH1"):
        shop.carry_out(task)
    monkeypatch.setenv("ORDERCTL_DATABASE_TIME_ZONE", "+07:00")

    [check] = doctor("--only", "database").of("rows-before-time-zone")

    assert (check["verdict"], check["repair"]) == ("note", "orderctl logs show 1")
    assert "the events of order 1 look 7.0 h off" in check["text"]


def test_rows_of_the_zone_that_is_set_are_well(
    shop: Shop, doctor: Doctor, monkeypatch: pytest.MonkeyPatch, migrated_url: str
) -> None:
    monkeypatch.setenv("ORDERCTL_DATABASE_TIME_ZONE", "+07:00")
    from orderctl import database, moments

    engine = database.connect(migrated_url)
    moments.set_zone(engine.dialect, moments.zone("+07:00"))
    local = Shop(engine)
    for task in local.paid("DH1"):
        local.carry_out(task)
    engine.dispose()

    assert doctor("--only", "database").of("rows-before-time-zone") == []


def test_an_audit_log_that_grows_faster_than_the_orders_is_named(shop: Shop, doctor: Doctor) -> None:
    fill(shop, recent=20, earlier=4)

    found = doctor("--only", "audit")

    [check] = found.of("growth-per-order")
    assert check["verdict"] == "warning"
    assert check["text"] == (
        "20 events for each new order, 4 before: the audit log grows faster than the orders, most of all by events of"
        " the category download"
    )
    [growth] = found.of("growth")
    assert growth["value"] == round(60 * 20 / 7, 1)
    [size] = found.of("size")
    assert size["value"] == 60 * 20 + 60 * 4 + 200


def test_an_audit_log_that_grows_with_the_orders_is_linear(
    shop: Shop, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(shop, recent=4, earlier=4)

    [check] = doctor("--only", "audit").of("growth-per-order")

    assert (check["verdict"], check["text"]) == ("well", "4 events for each new order, 4 before: linear")
    monkeypatch.setattr(audit_log.statuses, "COUNT_LIMIT", 50)  # more are not counted: the ids have to do
    [check] = doctor("--only", "audit").of("growth-per-order")
    assert check["text"] == "2.0 events for each new order, 2.0 before: linear"


@pytest.mark.parametrize(
    ("events", "why", "repair"),
    [
        (0, "too few events", None),
        (300, "not counted", "orderctl logs summary --recount"),
        (20_300, "not counted", "orderctl logs summary"),
    ],
)
def test_growth_that_is_not_known_is_skipped_with_what_counts_the_events(
    shop: Shop,
    doctor: Doctor,
    carry_out: Callable[[str], int],
    monkeypatch: pytest.MonkeyPatch,
    events: int,
    why: str,
    repair: str | None,
) -> None:
    add_events(shop, events, shop.add("DH1"), "'system'", "'now'")
    monkeypatch.setenv("ORDERCTL_AUDIT_SEAL_KEY", SECRET)

    found = doctor("--only", "audit")

    for name in ("growth", "growth-per-order"):
        [check] = found.of(name)
        assert (check["verdict"], check["repair"]) == ("skipped", repair)
        assert why in check["text"]
    assert "makes no seals" in found.of("seals")[0]["text"]
    if repair is not None:
        assert carry_out(repair) == 0
        assert [one["verdict"] for one in doctor("--only", "audit").of("growth")] == ["well"]


def fill(shop: Shop, *, recent: int, earlier: int) -> None:
    """Add 60 orders of some days ago and 60 of two weeks ago, with so many events each, and 200 new events.

    Each second id is missing, as after orders that were deleted.
    """
    for days, events, first in ((14, earlier, 0), (3, recent, 120)):
        shop.execute(
            f"{NUMBERS.format(60)} INSERT INTO orders (id, order_code, user_email, order_status, payment_status,"
            f" total_amount, created_at) SELECT {first} + 2 * n, 'DH' || ({first} + n), 'a@b.example', 'pending', 'pending',"
            f" 1, strftime('%Y-%m-%d %H:%M:%f000', 'now', '-{days} days', n || ' seconds') FROM n"
        )
        add_events(shop, 60 * events, f"{first} + 2 + n % 60 * 2", "'download'", f"'now', '-{days} days'")
    add_events(shop, 200, 2, "'system'", "'now'")
    audit_counting.catch_up(shop.engine)


def test_a_file_that_every_user_can_read_is_named(shop: Shop, doctor: Doctor, tmp_path: Path) -> None:
    path = tmp_path / "orderctl.toml"
    path.write_text("[worker]\nconcurrency = 1\n")
    path.chmod(0o644)

    [check] = doctor("--only", "settings", "--config", str(path)).of("exposed-secret")

    assert (check["verdict"], check["repair"]) == ("warning", f"chmod 600 {path}")
    path.chmod(0o600)
    assert doctor("--only", "settings", "--config", str(path)).of("exposed-secret") == []


def test_one_setting_makes_all_unknown_statuses_known(
    shop: Shop, doctor: Doctor, carry_out: Callable[[str], int]
) -> None:
    shop.paid("DH1")
    shop.paid("DH2")
    shop.execute("UPDATE orders SET order_status = 'on hold' WHERE id = 1")
    shop.execute("UPDATE orders SET order_status = 'settled' WHERE id = 2")

    found = doctor("--only", "orders").of("unknown-statuses")

    assert len(found) == 2
    [repair] = {check["repair"] for check in found}
    assert 'reconcile.expected_statuses = "on hold,settled", and restart' in found[0]["explanation"]
    carry_out(repair)
    assert [check["verdict"] for check in doctor("--only", "orders").of("unknown-statuses")] == ["well"]
