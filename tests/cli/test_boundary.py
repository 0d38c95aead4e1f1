"""Errors become one line, a hint and an exit code."""

import errno
import subprocess
import sys
from pathlib import Path

import click
import pytest

from orderctl import errors
from orderctl.cli.boundary import guard
from orderctl.cli.topics import EXIT_CODES
from orderctl.errors import ExitStatus
from tests.cli.conftest import Program
from tests.script import SCRIPT


def raising(error: BaseException):
    def program():
        raise error

    return program


OURS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.OrderctlError)
]


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_every_known_error_is_a_line_and_its_exit_code(kind, capsys):
    status = guard(raising(kind("the sky fell", hint="look up")))

    assert status == kind.exit_status
    assert capsys.readouterr().err == "orderctl: the sky fell\nhint: look up\n"


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (KeyboardInterrupt(), 130, "orderctl: interrupted\n"),
        (click.Abort(), 130, "orderctl: interrupted\n"),
        (
            ValueError("no\nway"),
            70,
            "orderctl: internal error: ValueError: no\nhint: please report it; ORDERCTL_DEBUG=1 shows the traceback\n",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 1, "orderctl: /x: Permission denied\n"),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            1,
            "orderctl: cannot write the output: No space left on device\n",
        ),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 0, ""),
        (SystemExit(7), 7, ""),
        (click.UsageError("Give more."), 2, "orderctl: give more\nhint: orderctl --help\n"),
        (click.FileError("x", "gone"), 2, "orderctl: could not open file 'x': gone\n"),
    ],
)
def test_other_ends(error, status, line, capsys, monkeypatch):
    monkeypatch.setattr("orderctl.cli.boundary.abandon", lambda *_: None)

    assert guard(raising(error)) == status
    assert capsys.readouterr().err == line


def test_debug_shows_the_traceback_of_an_internal_error(capsys, monkeypatch):
    monkeypatch.setenv("ORDERCTL_DEBUG", "1")

    guard(raising(ZeroDivisionError("x")))

    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert "internal error: ZeroDivisionError: x" in err


def test_a_message_cannot_move_the_cursor(capsys):
    guard(raising(errors.NotFound("no order \x1b[2J\u202e")))

    assert capsys.readouterr().err == "orderctl: no order \\x1b[2J\\u202e\n"


@pytest.mark.parametrize(("result", "status"), [(None, 0), (ExitStatus.CONFLICT, 4), ("text", 0), ([1], 0)])
def test_a_status_that_is_returned_is_the_exit_code(result, status):
    assert guard(lambda: result) == status


def test_help_lists_every_exit_code():
    assert set(EXIT_CODES) == set(ExitStatus)


def test_a_reader_that_closes_the_pipe_early_is_not_an_error():
    for arguments in (["config", "show"], ["--help"]):
        process = subprocess.Popen([SCRIPT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.close()

        _, err = process.communicate()

        assert (process.returncode, err) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", [["config", "show"], ["--help"], ["--version"], ["help", "times"]])
def test_a_full_disk_is_an_error(arguments):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [SCRIPT, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert done.returncode == 1
    assert done.stderr == "orderctl: cannot write the output: No space left on device\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--nope"], "orderctl: no such option '--nope'"),
        (["confg"], "orderctl: no such command 'confg'. Did you mean 'config'?"),
        (["config", "shwo"], "orderctl: no such command 'shwo'. Did you mean 'show'?"),
        (
            ["config", "show", "-o", "xml"],
            "orderctl: invalid value for '-o' / '--output': 'xml' is not one of",
        ),
        (
            ["config", "show", "--fields", "nope"],
            "orderctl: invalid value for '--fields': no column nope",
        ),
        (["help", "nope"], "orderctl: invalid value for"),
        (
            ["--redis-url", "http://x", "config", "show"],
            "orderctl: invalid value for '--redis-url': needs redis://",
        ),
        (
            ["config", "show", "--database-url", "mysql://u:geheim@h/d"],
            "orderctl: --database-url: other users could read the password in the list of processes",
        ),
    ],
)
def test_a_wrong_command_line_is_a_line_with_a_hint(arguments, line, orderctl: Program):
    ended = orderctl(*arguments)

    assert ended.status == ExitStatus.USAGE
    assert ended.err.startswith(line)
    assert ended.err.splitlines()[1].startswith("hint: ")
    assert ended.out == ""
    assert "geheim" not in ended.err


@pytest.mark.parametrize("arguments", [[], ["config"]])
def test_a_group_without_a_command_shows_its_help_and_is_a_usage_error(arguments, orderctl: Program):
    ended = orderctl(*arguments)

    assert ended.status == ExitStatus.USAGE
    assert ended.out == ""
    assert "Usage: orderctl" in ended.err


def test_a_wrong_setting_is_a_configuration_error(orderctl: Program):
    ended = orderctl("config", "show", env={"ORDERCTL_RELAY_PORT": "banana"})

    assert ended.status == ExitStatus.CONFIGURATION
    assert ended.err.startswith(
        "orderctl: setting relay.port (environment ORDERCTL_RELAY_PORT): needs a whole number"
    )


def test_ctrl_c_is_130():
    code = (
        "import os, signal, sys; from orderctl.cli.boundary import guard; "
        "sys.exit(guard(lambda: os.kill(os.getpid(), signal.SIGINT)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 130
    assert done.stderr == "orderctl: interrupted\n"


@pytest.mark.parametrize("error", [errors.OrderctlError, ValueError, OSError])
def test_an_error_shows_no_secret_of_a_url(error, capsys, monkeypatch):
    monkeypatch.setenv("ORDERCTL_DEBUG", "1")

    guard(raising(error("no answer of https://u:geheim@h/x?sig=geheim")))

    err = capsys.readouterr().err
    assert "no answer of https://***@h/x?sig=***" in err
    assert "geheim" not in err
