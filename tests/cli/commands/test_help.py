"""``orderctl help``."""

import re
from datetime import UTC, datetime, timedelta

from orderctl.cli import options, times
from orderctl.cli.topics import EXIT_CODES, TOPICS
from orderctl.errors import ExitStatus
from orderctl.terminal.render import Format
from tests.cli.conftest import Program
from tests.cli.test_commands import ALL


def test_the_topic_of_the_output_explains_every_format(inside: Program):
    lines = inside("help", "output").out.splitlines()

    explained = [line.split()[0] for line in lines if line.startswith("  ")]

    assert explained == list(map(str, Format))


def test_every_exit_code_is_explained(inside: Program):
    lines = inside("help", "exit-codes").out.splitlines()

    explained = [int(line.split()[0]) for line in lines if line.startswith("  ")]

    assert explained == [int(status) for status in ExitStatus]
    assert set(EXIT_CODES) == set(ExitStatus)


def test_every_form_of_a_time_that_the_topic_names_is_taken(inside: Program):
    text = inside("help", "times").out
    moments = text.partition("accept ")[2].partition(". ")[0].replace("\n", " ")
    spans = text.partition("(--stale, --timeout) accept ")[2].partition(";")[0].replace("\n", " ")
    forms = [form.strip("' ").removesuffix(" (ago)") for form in moments.split(",")]

    assert len(forms) >= 8
    for form in forms:
        assert times.moment(form, now=datetime.now(UTC)) is not None
    for form in spans.split(", "):
        assert times.span(form) > timedelta(0)


def test_every_option_that_a_topic_names_exists(inside: Program):
    known = {name for _, command in ALL for param in command.params for name in param.opts}

    for topic in TOPICS:
        named = set(re.findall(r"--[a-z][a-z-]+", inside("help", topic).out))
        assert named <= known, topic


def test_every_choice_that_the_topic_of_times_names_is_taken(inside: Program):
    [named] = re.findall(r"--time-format ([a-z|]+) chooses", inside("help", "times").out)

    for command in (command for _, command in ALL):
        for param in (param for param in command.params if "--time-format" in param.opts):
            assert list(param.type.choices) == named.split("|")


def test_the_options_that_the_topic_of_times_names_take_what_it_says(inside: Program):
    params = [param for _, command in ALL for param in command.params]

    for names, kind in ((("--since", "--until"), options.Moment), (("--stale", "--timeout"), options.Span)):
        for name in names:
            found = [param.type for param in params if name in param.opts]
            assert found
            assert all(isinstance(one, kind) for one in found), name
