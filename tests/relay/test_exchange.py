"""The link between the hub and Redis: what it says about outages and refusals."""

import asyncio
import logging

import pytest

from orderctl.channels import Scope
from orderctl.errors import Misconfigured, RedisUnavailable
from orderctl.relay.codecs.calls import Topic
from orderctl.relay.exchange import Exchange
from orderctl.relay.feed import CommandRefused
from orderctl.relay.hub import Hub
from tests.relay.conftest import play
from tests.relay.members import Socket


async def _nobody(_task_id: int) -> None:
    return None


@pytest.fixture
def exchange(hub: Hub) -> Exchange:
    return Exchange(hub, "redis://127.0.0.1:1", _nobody)


def test_a_refusal_is_named_once_also_after_an_outage(
    exchange: Exchange, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    lost, refused = (
        RedisUnavailable("Redis does not answer: lost"),
        Misconfigured("Redis denies access: NOPERM"),
    )

    async def scenario() -> None:
        for why in (lost, lost, refused, refused):
            exchange._went_down(why)
        await exchange._went_up()

    play(scenario())

    assert [record.getMessage() for record in caplog.records] == [
        "Redis does not answer: lost; trying again",
        "Redis denies access: NOPERM; trying again",
        "Redis answers again",
    ]


def test_a_member_hears_live_messages_although_snapshots_are_refused(
    exchange: Exchange, hub: Hub, plain: Socket, caplog: pytest.LogCaptureFixture
) -> None:
    exchange.members[plain.member] = plain  # type: ignore[assignment]
    room = exchange.join(plain.member, Topic(Scope.TASK, 456))
    assert room is not None

    async def scenario() -> None:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        answer.set_exception(CommandRefused("NOPERM No permissions to access a key"))
        for _ in range(3):
            exchange._give_snapshot(plain.member, room, answer)

    play(scenario())
    hub.publish(b"task:456:progress", b'{"taskId":456,"percent":7}')
    hub.flush()

    assert plain.percents == [7]
    assert caplog.text.count("Redis refuses to return the last messages: NOPERM") == 1
