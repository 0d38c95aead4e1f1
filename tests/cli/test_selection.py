"""An empty selection never selects all tasks."""

import pytest

from orderctl.cli.main import root
from tests.cli.conftest import Program
from tests.cli.test_commands import every_command
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")

SELECTORS = {"--failed", "--order", "--error-type", "--fingerprint"}
#: Every command that changes a selection of tasks.
BULK = [
    path
    for path, command in every_command(root)
    if {"--max", *SELECTORS} <= {name for param in command.params for name in param.opts}
]
EMPTY = [
    [],
    ["--max", "5"],
    ["--order", ""],
    ["--fingerprint", ""],
    ["--error-type", ""],
    ["--order", "", "--fingerprint", "", "--max", "5"],
]


def test_the_commands_that_take_a_selection():
    assert BULK == [("tasks", "retry"), ("tasks", "cancel")]


@pytest.mark.parametrize("path", BULK, ids=" ".join)
@pytest.mark.parametrize("chosen", EMPTY, ids=" ".join)
def test_an_empty_selection_is_refused_and_changes_nothing(path, chosen, shop: Shop, inside: Program):
    shop.paid("DH1", 3)
    shop.fail(1)
    shop.carry_out(2)
    before = [shop.task(task_id) for task_id in (1, 2, 3)], shop.order("DH1"), shop.events("DH1")

    ended = inside(*path, *chosen, "--yes")

    assert (ended.status, ended.out) == (2, "")
    assert ([shop.task(task_id) for task_id in (1, 2, 3)], shop.order("DH1"), shop.events("DH1")) == before


@pytest.mark.parametrize("path", BULK, ids=" ".join)
def test_no_ids_behind_the_options_say_so(path, shop: Shop, inside: Program):
    shop.paid("DH1", 2)
    shop.fail(1)

    ended = inside(*path, "--yes", "--")

    assert ended.status == 2
    assert ended.err.startswith("orderctl: no task is selected: without a selection nothing is changed\n")
    assert [shop.task(task_id).status for task_id in (1, 2)] == ["failed", "pending"]
