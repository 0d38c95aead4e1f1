"""All links of an order's way, whatever is known of them."""

import pytest

from orderctl import broker
from orderctl.settings import load
from orderctl.why import inquiry
from orderctl.why.chain import Link, State
from tests.servers.redis import RedisServer
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")


def test_each_link_is_looked_at_in_their_order(shop: Shop) -> None:
    shop.add()
    settings = load(environ={"ORDERCTL_STATE_DIR": "/nonexistent"})
    found = shop.read(lambda c: inquiry.of_order(c, None, settings, shop.order().id))
    assert [step.link for step in found.steps] == list(Link)
    assert found.first is not None
    assert (found.first.link, found.first.state, found.first.cause) == (Link.PAYMENT, State.BROKEN, "unpaid")
    [task] = shop.tasks(shop.order().id)
    assert shop.read(lambda c: inquiry.of_task(c, None, settings, task.id)).first == found.first


def test_a_redis_that_hangs_is_waited_for_once(
    shop: Shop, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.paid()
    settings = load(environ={"ORDERCTL_STATE_DIR": "/nonexistent"})
    asked: list[str] = []
    redis_server.pause()
    with broker.hasty(redis_server.url) as client:
        call = client.execute_command
        monkeypatch.setattr(client, "execute_command", lambda *words: asked.append(words[0]) or call(*words))
        found = shop.read(lambda c: inquiry.of_order(c, client, settings, shop.order().id))

    assert found.first is not None
    assert (found.first.cause, asked) == ("redis-down", ["PING"])
