"""The file of a SQLite database: only a migration creates it, and only its user can access it."""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from orderctl import database, embedded, migrate, private_files, sqlite_files
from orderctl.errors import DatabaseExhausted, DatabaseUnavailable, ExitStatus, Misconfigured, NotMigrated
from tests.cli.conftest import Program, inside  # noqa: F401 - a fixture

#: Commands that only read, or that need a migrated database.
READING = [
    ["orders", "list"], ["orders", "show", "DH1"], ["orders", "stats"], ["orders", "wait", "DH1"],
    ["orders", "pay", "DH1", "--amount", "1"], ["tasks", "list"], ["tasks", "show", "1"], ["tasks", "retry", "1"],
    ["logs", "show", "DH1"], ["logs", "errors"], ["logs", "summary"], ["tail", "task", "1"], ["tail", "order", "DH1"],
    ["reconcile", "--check"], ["reconcile"], ["worker", "start", "--burst"],
    ["migrate", "status"], ["migrate", "check"], ["migrate", "sql"],
]  # fmt: skip


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def any_umask():
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize("command", READING, ids=" ".join)
@pytest.mark.parametrize("explicit", [True, False], ids=["url", "default"])
def test_a_read_creates_no_database(command, explicit, inside: Program, home: Path, monkeypatch):  # noqa: F811
    state = home / "new" / "state"
    path = home / "own.db" if explicit else state / "orderctl.db"
    monkeypatch.setenv("ORDERCTL_STATE_DIR", str(state))
    monkeypatch.setenv("ORDERCTL_REDIS_URL", "redis://127.0.0.1:1/0")
    if explicit:
        monkeypatch.setenv("ORDERCTL_DATABASE_URL", f"sqlite:///{path}")

    ended = inside(*command)

    origin = "environment ORDERCTL_DATABASE_URL" if explicit else "default"
    assert ended.status == ExitStatus.CONFIGURATION, ended
    assert (
        f"no database at {path} (setting database.url, {origin}); orderctl migrate up creates it" in ended.err
    )
    assert "hint: orderctl migrate up" in ended.err
    assert not path.exists()
    assert not state.exists()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o177])
def test_a_migration_creates_a_private_database(umask, home: Path):
    state = home / "made" / "on the way" / "state"
    before = os.umask(umask)
    try:
        engine = database.connect(embedded.database_url(state))
        migrate.up(engine)
        with database.reading(engine), engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE kept (id INTEGER)")
            files = sorted(path.name for path in state.iterdir())
            assert files == ["orderctl.db", "orderctl.db-shm", "orderctl.db-wal"]
            assert {mode(path) for path in state.iterdir()} == {0o600}
        engine.dispose()
    finally:
        os.umask(before)

    assert {mode(folder) for folder in (state, state.parent, state.parent.parent)} == {0o700}


def test_a_url_creates_the_file_but_not_its_folder(home: Path, any_umask):
    engine = database.connect(f"sqlite:///{home / 'a.db'}")
    migrate.up(engine)
    engine.dispose()
    assert mode(home / "a.db") == 0o600

    nowhere = database.connect(f"sqlite:///{home / 'none' / 'a.db'}")
    with pytest.raises(Misconfigured, match=r"cannot use .*none/a.db: No such file"):
        migrate.up(nowhere)
    assert not (home / "none").exists()


def test_an_existing_database_keeps_its_mode(home: Path):
    path = home / "a.db"
    path.touch()
    path.chmod(0o640)
    engine = database.connect(f"sqlite:///{path}")
    migrate.up(engine)
    with database.reading(engine):
        pass
    engine.dispose()

    assert mode(path) == 0o640


class TestOwners:
    """Files of another user. Root's tests give them away; others' compare with another user."""

    @pytest.fixture
    def give_away(self, monkeypatch):
        def give(path: Path) -> None:
            if os.geteuid() == 0:
                os.chown(path, 12345, -1, follow_symlinks=False)
            else:
                monkeypatch.setattr(private_files.os, "geteuid", lambda: 12345)

        return give

    @pytest.mark.parametrize("which", ["orderctl.db", "orderctl.db-wal", "", "link"])
    def test_what_belongs_to_another_user_is_refused(self, which, home: Path, give_away):
        state = home / "state"
        engine = database.connect(embedded.database_url(state))
        migrate.up(engine)
        engine.dispose()
        if which == "link":
            (state / "orderctl.db").rename(state / "kept.db")
            (state / "orderctl.db").symlink_to("kept.db")
            which = "orderctl.db"
        (state / which).touch()
        give_away(state / which)

        complaint = r"belongs to the user .*, but orderctl runs as"
        with pytest.raises(Misconfigured, match=complaint) as caught:
            database.reading(database.connect(embedded.database_url(state))).__enter__()
        assert caught.value.exit_status is ExitStatus.CONFIGURATION
        assert str(state) in str(caught.value)
        assert caught.value.hint is not None

    def test_the_state_folder_is_checked_for_redis_too(self, home: Path, give_away):
        state = home / "st"
        state.mkdir()
        give_away(state)

        with pytest.raises(Misconfigured, match="belongs to the user"):
            embedded.ensure(state)

    def test_links_of_ones_own_are_followed(self, home: Path):
        (home / "real.db").touch()
        (home / "link.db").symlink_to("real.db")
        engine = database.connect(f"sqlite:///{home / 'link.db'}")
        migrate.up(engine)
        engine.dispose()

        assert (home / "real.db").stat().st_size > 0


def test_a_folder_that_every_user_can_write_is_refused(home: Path):
    state = home / "st"
    state.mkdir()
    state.chmod(0o777)

    with pytest.raises(Misconfigured, match="every user can write into the folder") as caught:
        embedded.database_url(state)
    assert caught.value.hint == f"chmod o-w {state}"

    state.chmod(0o1777)  # as /tmp: others can only add files
    embedded.database_url(state)


def test_a_link_to_nothing_is_refused_by_what_would_create_the_file(home: Path):
    (home / "link.db").symlink_to("nothing.db")
    engine = database.connect(f"sqlite:///{home}/link.db")

    with pytest.raises(Misconfigured, match=r"is a symbolic link to nothing\.db, which does not exist"):
        migrate.up(engine)


def test_a_folder_in_place_of_the_file(home: Path):
    (home / "a.db").mkdir()

    with (
        pytest.raises(Misconfigured, match="is not a file"),
        database.reading(database.connect(f"sqlite:///{home / 'a.db'}")),
    ):
        pass
    with pytest.raises(Misconfigured, match="is not a file"):
        migrate.up(database.connect(f"sqlite:///{home / 'a.db'}"))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("file is not a database", Misconfigured),
        ("database disk image is malformed", Misconfigured),
        ("attempt to write a readonly database", Misconfigured),
        ("unable to open database file", DatabaseUnavailable),
        ("disk I/O error", DatabaseUnavailable),
        ("database or disk is full", DatabaseExhausted),
    ],
)
def test_errors_of_sqlite_have_their_codes(text, kind):
    assert type(sqlite_files.explain(text)) is kind
    assert sqlite_files.explain("syntax error") is None


def test_a_file_that_is_no_database(home: Path):
    (home / "a.db").write_text("something else, of more than a hundred bytes" * 10)

    with (
        pytest.raises(Misconfigured, match="file is not a database"),
        database.reading(database.connect(f"sqlite:///{home / 'a.db'}")),
    ):
        pass


def test_not_migrated_is_not_missing(home: Path):
    (home / "a.db").touch()

    with (
        pytest.raises(NotMigrated, match="not migrated"),
        database.reading(database.connect(f"sqlite:///{home / 'a.db'}")) as connection,
    ):
        connection.exec_driver_sql("SELECT * FROM orders")


def test_a_reader_that_may_not_write_sees_what_others_write(home: Path, monkeypatch: pytest.MonkeyPatch):
    path = home / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE kept (id INTEGER)")
    path.chmod(0o600)
    monkeypatch.setattr(sqlite_files, "is_writable", lambda _: False)
    reader = database.connect(f"sqlite:///{path}")

    def count() -> int:
        with database.reading(reader) as connection:
            return connection.exec_driver_sql("SELECT COUNT(*) FROM kept").scalar_one()

    assert count() == count() == 0
    assert list(home.glob("a.db*")) == [path]
    for number in (1, 3):
        with closing(sqlite3.connect(path, isolation_level=None)) as writer:
            writer.execute("INSERT INTO kept VALUES (1)")
            assert count() == number  # in the log of changes
            writer.execute("INSERT INTO kept VALUES (2)")
            assert count() == number + 1
        assert count() == number + 1  # in the file
    reader.dispose()
