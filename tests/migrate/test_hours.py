"""The events of a log that there was before are counted by the migration."""

import pytest
from sqlalchemy import Engine

from orderctl import audit_counts, audit_hours, audit_summary, database, migrate
from orderctl.migrate import hours
from tests.migrate.conftest import Account
from tests.migrate.gallery import run
from tests.migrate.test_interrupted import up_by_deaths
from tests.shop import Shop

BEFORE_THE_COUNTS = (
    "DROP TABLE orderctl_audit_hours",
    "DROP TABLE orderctl_audit_counts",
    "DROP TABLE orderctl_operations",
    "DROP TABLE orderctl_operation_tasks",
    "DELETE FROM orderctl_migrations WHERE revision >= '0006'",
    "UPDATE orderctl_version SET version_num = '0005'",
)


@pytest.fixture
def earlier(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop with 21 events of which none is counted."""
    monkeypatch.setattr(audit_hours, "NEWEST", 0)
    monkeypatch.setattr(audit_hours, "BATCH", 4)
    shop.add("DH1")
    for number in range(20):
        shop.record(1, f"event{number}")
    run(shop.engine, BEFORE_THE_COUNTS)
    return shop


def counted_to(engine: Engine) -> int | None:
    with database.reading(engine) as connection:
        return audit_counts.state_of(connection).counted_to


def total(engine: Engine) -> int:
    with database.reading(engine) as connection:
        return sum(one.count for one in audit_summary.summary(connection))


def test_migration_counts_the_events_once(earlier: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hours, "_TELL_SECONDS", 0)
    told: list[str] = []

    report = migrate.up(earlier.engine, on_step=lambda step: told.append(step.what))

    assert report.applied == ("0006", "0007", "0008")
    assert "counts of 21 events" in report.added
    assert "counts of the audit log's events, 8 so far" in told
    assert (counted_to(earlier.engine), total(earlier.engine)) == (21, 21)
    for number in range(5):
        earlier.record(1, f"later{number}")
    migrate.check(earlier.engine)
    assert migrate.sql(earlier.engine) == ""
    assert migrate.up(earlier.engine).up_to_date
    assert (counted_to(earlier.engine), total(earlier.engine)) == (26, 26)


@pytest.mark.databases("mysql", "sqlite")
def test_counting_that_is_killed_anywhere_goes_on(earlier: Shop) -> None:
    if earlier.engine.dialect.name == "sqlite":
        migrate.up(earlier.engine)
    else:
        assert up_by_deaths(earlier.engine) > 5

    assert (counted_to(earlier.engine), total(earlier.engine)) == (21, 21)
    assert migrate.up(earlier.engine).up_to_date


@pytest.mark.databases("mariadb", "mysql")
def test_account_that_may_not_count_migrates_with_a_warning(
    engine: Engine, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_hours, "NEWEST", 0)
    migrate.up(engine)
    Shop(engine).add("DH1")

    def refused(account: Engine) -> list[str]:
        return [
            text
            for text in migrate.up(account).warnings
            if text.startswith("counts of the audit log's events")
        ]

    assert len(refused(account("SELECT ON {db}.*"))) == 1
    assert (counted_to(engine), total(engine)) == (None, 1)
    assert refused(account("INSERT, UPDATE ON {db}.*")) == []
    assert (counted_to(engine), total(engine)) == (1, 1)
