"""What orders wait for, as the relay's pages show it."""

import pytest

from orderctl.relay.api import queries
from orderctl.relay.api.outlook import Outlook
from orderctl.relay.api.queries import Wanted
from orderctl.settings import load
from orderctl.waits import Cause
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
