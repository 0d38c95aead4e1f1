"""The application, with which commands work."""

import io
import logging
import os
import pwd
import stat
from contextlib import closing

import pytest
from sqlalchemy import text

from orderctl import migrate
from orderctl.cli.app import App
from tests.cli.conftest import Program


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_without_settings_the_database_is_a_file_of_this_user_alone(tmp_path):
    with closing(App(flags={"state_dir": str(tmp_path / "a" / "state")})) as app:
        migrate.up(app.engine)
        app.transact(lambda connection: connection.execute(text("CREATE TABLE t (id INTEGER)")))

        with app.reading() as connection:
            assert connection.execute(text("SELECT count(*) FROM t")).scalar() == 0
    assert stat.S_IMODE((tmp_path / "a" / "state" / "orderctl.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "a" / "state").stat().st_mode) == 0o700


def test_a_configured_database_makes_no_state_folder(tmp_path):
    with closing(App(flags={"state_dir": str(tmp_path / "state"), "database.url": "mysql://h/d"})) as app:
        assert app.database_url == "mysql+pymysql://h/d"
        assert app.engine.dialect.name == "mysql"
    assert not (tmp_path / "state").exists()


def test_the_actor_comes_from_the_system_and_not_from_the_environment(monkeypatch):
    for name in ("USER", "LOGNAME", "SUDO_USER"):
        monkeypatch.setenv(name, "somebody-else")

    assert App().actor == f"{pwd.getpwuid(os.getuid()).pw_name}@{os.uname().nodename}"


@pytest.mark.parametrize(
    ("environ", "terminal", "colored"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm"}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, True),
        ({"CLICOLOR_FORCE": "1"}, False, True),
        ({"CLICOLOR_FORCE": "0"}, False, False),
        ({"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, True, False),
    ],
)
def test_colour(environ, terminal, colored):
    assert App(environ=environ).colored(Terminal() if terminal else io.StringIO()) is colored


def test_a_table_is_cut_on_a_terminal_only(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    app = App()
    monkeypatch.setattr("sys.stdout", Terminal())
    assert app.view.width == 40
    app.output.format = "wide"
    assert app.view.width is None
    app.output.format = "table"
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert app.view.width is None


def test_messages_are_safe_and_quiet_suppresses_them(capsys):
    App().say("a\x1b[2J")
    App(quiet=True).say("b")
    App(quiet=True).warn("c")

    assert capsys.readouterr() == ("", "a\\x1b[2J\nc\n")


def test_a_narrow_character_set_gets_escapes(orderctl: Program):
    ended = orderctl("config", "show", env={"PYTHONIOENCODING": "ascii", "ORDERCTL_DISPLAY_CURRENCY": "₫"})

    assert ended.status == 0
    assert "\\u20ab" in ended.out


def test_the_program_runs_as_a_module():
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "orderctl", "--version"], capture_output=True, text=True, check=True
    )

    assert done.stdout.startswith("orderctl ")


def test_the_stores_are_closed_when_the_command_ends(inside: Program, tmp_path):
    app = App(flags={"state_dir": str(tmp_path)})

    inside("migrate", "up", app=app)

    assert "engine" not in vars(app)


def test_the_log_shows_no_secret_of_a_library(capsys, monkeypatch):
    before, level = list(logging.root.handlers), logging.root.level
    try:
        App().log()
        error = ValueError("https://u:secret@h/x?sig=secret")
        logging.getLogger("rq").error("cannot get %s", "/x?token=secret", exc_info=error)
    finally:
        logging.root.handlers[:], logging.root.level = before, level

    shown = capsys.readouterr().err
    assert "cannot get /x?token=***" in shown
    assert "ValueError: https://***@h/x?sig=***" in shown
