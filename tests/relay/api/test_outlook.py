"""What orders wait for, as the relay's pages show it."""

import pytest

from orderctl.relay.api import queries
from orderctl.relay.api.outlook import Outlook
from orderctl.relay.api.queries import Wanted
from orderctl.settings import load
from orderctl.waiting_reasons import Cause
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")


def test_redis_that_does_not_answer_is_asked_once_in_two_seconds(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.paid()
    times = iter([10.0, 11.9, 12.1, 12.1])
    outlook = Outlook("unix:///nonexistent/socket", load(), now=lambda: next(times))
    asked = []
    ask = outlook._ask
    monkeypatch.setattr(outlook, "_ask", lambda connection: asked.append(1) or ask(connection))

    found = shop.read(lambda c: queries.paid_orders(c, Wanted(5)))
    seen = [shop.read(lambda c: outlook.of(c, found)) for _ in range(3)]

    assert [reason.cause for reasons in seen for reason in reasons.values()] == [Cause.UNKNOWN] * 3
    assert len(asked) == 2
