"""The process that forks programs, and the programs that it forks."""

import os
import subprocess

import pytest

from tests.servers import prefork
from tests.servers.process import free_port


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["relay", "start", "--port", "none"], 2, "not 'none'"),
        (["relay", "start", "--host", "0.0.0.0"], 78, "relay.token_secret"),
    ],
)
def test_a_fork_ends_as_the_program_does(arguments: list[str], code: int, said: str):
    process = prefork.start(arguments, os.environ)

    assert said in process.communicate()[1]
    assert process.wait() == code


def test_a_fork_has_its_own_environment_and_can_be_killed():
    environment = os.environ | {
        "ORDERCTL_RELAY_PORT": str(free_port()),
        "ORDERCTL_REDIS_URL": "redis://127.0.0.1:1",
    }
    process = prefork.start(["relay", "start"], environment)

    while not (line := process.stderr.readline()).startswith("Listening on"):
        assert line
    assert environment["ORDERCTL_RELAY_PORT"] in line
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.kill()
    assert process.wait(60) == -9
    process.kill()
    process.communicate()


def test_it_is_started_again_after_its_end():
    for _ in range(2):
        assert prefork.start(["--version"], os.environ).communicate() == (None, "")
        prefork.close()
