"""``orderctl help``."""

from orderctl.cli.topics import EXIT_CODES
from orderctl.errors import ExitStatus
from orderctl.terminal.render import Format
from tests.cli.conftest import Program


def test_the_topic_of_the_output_explains_every_format(inside: Program):
    lines = inside("help", "output").out.splitlines()

    explained = [line.split()[0] for line in lines if line.startswith("  ")]

    assert explained == list(map(str, Format))


def test_every_exit_code_is_explained(inside: Program):
    lines = inside("help", "exit-codes").out.splitlines()

    explained = [int(line.split()[0]) for line in lines if line.startswith("  ")]

    assert explained == [int(status) for status in ExitStatus]
    assert set(EXIT_CODES) == set(ExitStatus)
