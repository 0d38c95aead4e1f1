"""Errors of Redis that no test plants on a server: it cannot be started so, or for too short a time."""

import pytest

from orderctl.errors import OrderctlError, RedisUnavailable
from orderctl.rights import explain
from orderctl.why import outages
from orderctl.why.chain import Link, State


@pytest.mark.parametrize(
    ("error", "cause", "explanation"),
    [
        (explain("unknown command 'EVAL'"), "redis-commands", "rename-command"),
        (
            RedisUnavailable("Redis does not answer: LOADING Redis is loading the dataset in memory"),
            "redis-loading",
            "answers when that is done",
        ),
        (OrderctlError("Redis reports: ERR something new"), "redis-error", "the log of the Redis server"),
    ],
)
def test_an_error_has_a_cause_and_an_explanation(error: OrderctlError, cause: str, explanation: str) -> None:
    step = outages.step(error)

    assert (step.link, step.state, step.cause, step.repair) == (Link.QUEUE, State.BROKEN, cause, None)
    assert explanation in (step.explanation or "")


def test_an_embedded_server_that_hangs_is_stopped_by_the_printed_command() -> None:
    error = RedisUnavailable("the embedded Redis (pid 7) does not answer", hint="orderctl embedded stop")

    step = outages.step(error)

    assert (step.cause, step.repair, step.explanation) == ("redis-down", "orderctl embedded stop", None)
