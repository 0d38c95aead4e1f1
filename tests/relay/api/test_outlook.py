"""What orders wait for, as the relay's pages show it."""

from functools import partial

import pytest

from orderctl import crews
from orderctl.relay.api import queries
from orderctl.relay.api.outlook import Outlook, without_rights
from orderctl.relay.api.queries import Wanted
from orderctl.settings import load
from orderctl.waits import Cause
from orderctl.why.chain import Diagnosis, Link, State, Step
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")


@pytest.mark.parametrize(
    ("times", "asked"),
    [
        pytest.param([10.0, 10.0, 11.9, 12.1, 12.1], 2, id="two seconds"),
        pytest.param([10.0, 11.0, 30.9, 31.1, 32.1], 2, id="a look that takes a second"),
    ],
)
def test_redis_is_asked_seldom(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, times: list[float], asked: int
) -> None:
    shop.paid()
    clock = iter(times)
    outlook = Outlook("unix:///nonexistent/socket", load(), now=lambda: next(clock))
    looks = []
    ask = outlook._ask
    monkeypatch.setattr(outlook, "_ask", lambda connection: looks.append(1) or ask(connection))

    found = shop.read(lambda c: queries.paid_orders(c, Wanted(5)))
    seen = [shop.read(lambda c: outlook.of(c, found)) for _ in range(3)]

    assert [reason.cause for reasons in seen for reason in reasons.values()] == [Cause.UNKNOWN] * 3
    assert (len(looks), list(clock)) == (asked, [])


def test_a_task_of_a_lost_worker_is_not_running(shop: Shop, redis_url: str) -> None:
    [task_id] = shop.paid()
    shop.claimed(task_id, worker="gone.worker-1.1")
    found = shop.read(lambda c: queries.paid_orders(c, Wanted(5)))

    seen = shop.read(lambda c: Outlook(redis_url, load()).of(c, found))
    blind = shop.read(lambda c: Outlook("unix:///nonexistent/socket", load()).of(c, found))

    assert [reason.cause for reason in seen.values()] == [Cause.NO_WORKER]
    assert blind == {}


def test_what_the_relays_account_may_not_look_at_is_not_known() -> None:
    holds = Step(Link.PAYMENT, State.HOLDS, "the order is paid")
    refused = Step(
        Link.QUEUE, State.BROKEN, "Redis denies LRANGE", "redis-rights", ("x",), "redis-cli ACL SETUSER x"
    )
    missing = Step(Link.HANDLER, State.BROKEN, "not installed here", "handler-unknown")
    found = without_rights(Diagnosis((holds, refused, missing)))
    assert found.steps[0] == holds
    assert [(step.state, step.repair) for step in found.steps[1:]] == [
        (State.UNKNOWN, None),
        (State.AHEAD, None),
    ]


def test_redis_is_asked_as_seldom_for_the_links_of_an_order(
    shop: Shop, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    [task_id] = shop.paid()
    looks = []
    look = crews.look
    monkeypatch.setattr(crews, "look", lambda *of: looks.append(1) or look(*of))
    outlook = Outlook(redis_url, load(), now=lambda: 10.0)
    for ask, subject in ((outlook.why_order, shop.order().id), (outlook.why_task, task_id)) * 2:
        _, found = shop.read(
            partial(ask, order_id=subject) if ask == outlook.why_order else partial(ask, task_id=subject)
        )
        assert found.first is not None
        assert found.first.cause == "no-worker"
    assert len(looks) == 1
