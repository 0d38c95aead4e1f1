"""``orderctl help``."""

from orderctl.terminal.render import Format
from tests.cli.conftest import Program


def test_the_topic_of_the_output_explains_every_format(inside: Program):
    lines = inside("help", "output").out.splitlines()

    explained = [line.split()[0] for line in lines if line.startswith("  ")]

    assert explained == list(map(str, Format))
