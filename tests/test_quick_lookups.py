from pathlib import Path

import pytest

from orderctl import broker, channels, quick_lookups, settings
from orderctl.quick_lookups import Lookup
from tests.shop import Shop


@pytest.fixture
def filled(shop: Shop) -> Shop:
    shop.paid("DH70025", ["http://courses.example/a?token=hunter2"], email="an@example.com")
    shop.add("DH7_1", courses=2, titled=True)
    shop.add("X%1", email="binh@example.com")
    shop.fail(1, fingerprint="abcd1234")
    shop.execute("UPDATE orders SET order_status = 'on_hold' WHERE order_code = 'X%1'")
    return shop


@pytest.mark.parametrize(
    ("wanted", "begin", "found"),
    [
        (quick_lookups.ORDERS, "", ["X%1", "DH7_1", "DH70025"]),
        (quick_lookups.ORDERS, "dh7", ["DH7_1", "DH70025"]),
        (quick_lookups.ORDERS, "DH7_", ["DH7_1"]),
        (quick_lookups.ORDERS, "X%", ["X%1"]),
        (quick_lookups.ORDERS, "%", []),
        (quick_lookups.CUSTOMERS, "", []),
        (quick_lookups.CUSTOMERS, "AN@", ["an@example.com"]),
        (quick_lookups.TASKS, "", ["4", "3", "2", "1"]),
        (quick_lookups.TASKS, "1", ["1"]),
        (quick_lookups.TASKS, "0", []),
        (quick_lookups.TASKS, "x", []),
        (quick_lookups.TASKS, "9" * 30, []),
        (quick_lookups.FAILED_TASKS, "", ["1"]),
        (quick_lookups.FINGERPRINTS, "ab", ["abcd1234"]),
        (quick_lookups.FINGERPRINTS, "b", []),
        (quick_lookups.ORDER_STATUSES, "on", ["on_hold"]),
        (quick_lookups.TASK_STATUSES, "f", ["failed"]),
        (quick_lookups.PAYMENTS, "", ["1"]),
    ],
)
def test_finds_what_begins_so(
    filled: Shop, migrated_url: str, wanted: Lookup, begin: str, found: list[str], tmp_path: Path
) -> None:
    given = settings.load(
        environ={"ORDERCTL_DATABASE_URL": migrated_url, "ORDERCTL_STATE_DIR": str(tmp_path)}
    )

    values = quick_lookups.ask(given, wanted, begin, seconds=60)

    assert [one.value for one in values] == found
    assert "hunter2" not in str(values)


def test_leaves_out_what_the_shop_has_deleted(filled: Shop, migrated_url: str) -> None:
    filled.execute("ALTER TABLE orders ADD COLUMN deletedAt DATETIME")
    filled.execute("UPDATE orders SET deletedAt = '2026-01-01 00:00:00' WHERE order_code = 'X%1'")
    given = settings.load(environ={"ORDERCTL_DATABASE_URL": migrated_url})

    filled.execute("ALTER TABLE download_tasks ADD COLUMN deleted_at DATETIME")
    filled.execute("UPDATE download_tasks SET status = 'failed'")
    filled.execute("UPDATE download_tasks SET deleted_at = '2026-01-01 00:00:00' WHERE id = 2")

    values = quick_lookups.ask(given, quick_lookups.ORDERS, "", seconds=60)
    tasks = [
        quick_lookups.ask(given, kind, "", seconds=60)
        for kind in (quick_lookups.TASKS, quick_lookups.FAILED_TASKS)
    ]

    assert [one.value for one in values] == ["DH7_1", "DH70025"]
    assert [[one.value for one in found] for found in tasks] == [["4", "3", "1"], ["4", "3", "1"]]


def test_finds_supervisors_and_starts_no_server_for_it(redis_url: str, tmp_path: Path) -> None:
    client = broker.brisk(redis_url)
    for name in ("web1-7", "web2-8"):
        client.set(channels.supervisor(name), "{}")
    client.close()
    given = settings.load(environ={"ORDERCTL_REDIS_URL": redis_url})
    embedded = settings.load(environ={"ORDERCTL_STATE_DIR": str(tmp_path / "state")})

    found = quick_lookups.ask(given, quick_lookups.SUPERVISORS, "web1", seconds=60)

    assert [one.value for one in found] == ["web1-7"]
    assert quick_lookups.ask(embedded, quick_lookups.SUPERVISORS, "", seconds=60) == []
    assert list(tmp_path.iterdir()) == []
