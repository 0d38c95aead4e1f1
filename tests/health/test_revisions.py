"""Which revisions are applied, without Alembic."""

import pytest
from sqlalchemy import text

from orderctl import database, migrate
from orderctl.health import revisions
from orderctl.health.signs import Migration


def test_the_known_revisions_are_those_of_alembic():
    assert revisions.known() == tuple(revision.id for revision in migrate.history())


@pytest.mark.databases("sqlite")
def test_an_earlier_and_a_newer_revision_are_told_from_the_present_one(migrated_url):
    engine = database.connect(migrated_url)

    def become(revision: str) -> Migration | None:
        with engine.begin() as connection:
            connection.execute(
                text("UPDATE orderctl_version SET version_num = :revision"), {"revision": revision}
            )
        return revisions.read(engine)

    earlier, newer = become("0004"), become("9999")

    assert earlier is not None
    later = revisions.known()[4:]
    assert (earlier.pending, earlier.is_current) == (later, False)
    assert earlier.text == f"0004, pending: {', '.join(later)}"
    assert newer is not None
    assert (newer.pending, newer.is_newer, newer.is_current) == ((), True, False)
    engine.dispose()


def test_a_database_without_tables_is_not_migrated(database_url):
    engine = database.connect(database_url)

    found = revisions.read(engine)

    assert found == Migration(None, revisions.known())
    engine.dispose()
