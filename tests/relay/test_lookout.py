"""The relay's warning about another shop on the same Redis server."""

import asyncio

import pytest

from orderctl.channels import Scope
from orderctl.errors import DatabaseUnavailable
from orderctl.relay import lookout
from orderctl.relay.api.reader import Reader
from orderctl.relay.hub import Hub
from tests.relay.conftest import SOON, play, progress
from tests.shop import Shop


class Unsteady(Reader):
    """A database that does not answer at first."""

    tries = 0

    async def read(self, *arguments, **more):
        self.tries += 1
        if self.tries == 1:
            raise DatabaseUnavailable("away")
        return await super().read(*arguments, **more)


@pytest.mark.databases("sqlite")
def test_a_foreign_channel_is_warned_about_once_also_after_an_outage(
    shop: Shop, hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    shop.paid()
    hub.publish(b"task:1:progress", progress(5, 1).encode())
    hub.publish(b"task:77:progress", progress(5, 77).encode())
    reader = Unsteady(shop.engine)

    async def scenario() -> None:
        async with asyncio.timeout(SOON):
            await lookout.watch(hub.neighbours, reader, pause=0.001)

    play(scenario())

    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "task 77, which the database does not have" in caplog.text


def test_invalid_messages_are_not_noted(hub: Hub) -> None:
    hub.publish(b"task:77:progress", b"junk")
    hub.publish(b"task:78:nonsense", b"{}")

    hub.neighbours.note(Scope.TASK, 1)

    assert list(hub.neighbours._heard) == [(Scope.TASK, 1)]
