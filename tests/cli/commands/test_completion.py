"""Completion, called in the same way as the shells call it."""

import subprocess

import pytest

from orderctl.cli.commands.completion import SHELLS
from orderctl.cli.main import COMMANDS
from tests.cli.conftest import Program
from tests.script import SCRIPT
from tests.servers.availability import needed
from tests.servers.programs import find


def complete(orderctl: Program, line: str) -> list[str]:
    ended = orderctl(*line.split(" ")[1:], env={"_ORDERCTL_COMPLETE": "zsh_complete"})
    assert (ended.status, ended.err) == (0, "")
    return [item.split("\t")[1] for item in ended.out.splitlines() if item]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("orderctl conf", ["config"]),
        ("orderctl config s", ["show"]),
        ("orderctl config show -o j", ["json", "jsonl"]),
        ("orderctl config show --fields key,v", ["key,value", "key,variable"]),
        ("orderctl config show --time", ["--time-format"]),
        ("orderctl help e", ["exit-codes", "environment"]),
        ("orderctl nope ", []),
        ("orderctl --database-url x --conf", ["--config"]),
    ],
)
def test_tab_completes(line, found, orderctl: Program):
    completed = complete(orderctl, line)

    assert completed == found or (not found and set(completed) == set(COMMANDS))


def test_tab_survives_a_broken_configuration(orderctl: Program):
    env = {"_ORDERCTL_COMPLETE": "zsh_complete", "ORDERCTL_CONFIG": "/nope"}

    for words, found in ((("c",), "plain\tconfig\t"), (("orders", "show", ""), "")):
        ended = orderctl(*words, env=env)

        assert (ended.status, ended.err) == (0, "")
        assert found in ended.out


@pytest.mark.parametrize("asked", ["bash_source", "nonsense", "tcsh_complete"])
def test_another_question_of_a_shell_is_answered_with_nothing(asked, orderctl: Program):
    ended = orderctl("orders", env={"_ORDERCTL_COMPLETE": asked})

    assert (ended.status, ended.out, ended.err) == (1, "", "")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_one_that_the_shell_understands(shell, orderctl: Program, tmp_path):
    ended = orderctl("completion", shell)
    assert ended.status == 0
    if shell != "bash":
        with needed():
            find(shell)
    file = tmp_path / "script"
    file.write_text(ended.out)

    checked = subprocess.run([shell, "-n", str(file)], capture_output=True, check=False)

    assert (checked.returncode, checked.stderr) == (0, b"")


def test_bash_completes_with_the_script(tmp_path):
    code = f"""
        PATH={SCRIPT.parent}:$PATH
        eval "$(orderctl completion bash)"
        COMP_LINE='orderctl config s' COMP_POINT=17
        _orderctl_completion orderctl
        echo "${{COMPREPLY[@]}}"
    """

    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)

    assert (done.stdout, done.stderr) == ("show\n", "")
