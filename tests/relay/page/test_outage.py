"""The page without the relay, Redis or the database, and its access tokens."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest
import redis

from orderctl import publications
from orderctl.channels import task_progress
from orderctl.relay.tokens import mint
from tests.relay.conftest import RunningRelay, StartRelay
from tests.relay.page.conftest import Publish, Visits, expect, wait_for_subscriptions
from tests.servers.redis import RedisServer
from tests.shop import Shop

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.databases("sqlite")

SECRET = "a secret of thirty-two characters"


class TestOutage:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
    def test_the_page_reconnects_after_a_restart_of_the_relay(
        self, visit: Visits, relay: RunningRelay, shop: Shop, publish: Publish, number: signal.Signals
    ):
        [task] = shop.paid("DH1")
        shop.start(shop.claimed(task))
        page = visit(relay)
        wait_for_subscriptions(relay, page, 2)
        publish(task, 10)
        expect(page.locator(".row-percent")).to_have_text("10 %")

        relay.stop(number)
        relay.close()
        expect(page.locator("#connection")).to_have_attribute("data-state", "lost")
        expect(page.locator("#banner")).to_contain_text("connection to the relay is lost")
        shop.paid("DH2")
        publish(task, 20)
        relay.start()

        expect(page.locator("#connection")).to_have_attribute("data-state", "live")
        expect(page.locator("#banner")).to_be_hidden()
        expect(page.locator(".row-code")).to_have_text(["DH2", "DH1"])
        percent = page.locator(".row-percent").nth(1)
        expect(percent).to_have_text("20 %")
        wait_for_subscriptions(relay, page, 4)
        publish(task, 30)
        expect(percent).to_have_text("30 %")

    def test_an_outage_of_redis_is_shown_until_it_ends(
        self, visit: Visits, start: StartRelay, shop: Shop, own_redis
    ):
        server: RedisServer = own_redis(persistent=True)
        [task] = shop.paid("DH1")
        shop.start(shop.claimed(task))
        relay = start(redis_url=server.url)
        page = visit(relay)
        wait_for_subscriptions(relay, page, 2)

        server.kill()
        expect(page.locator("#connection")).to_have_text("Paused")
        expect(page.locator("#banner")).to_contain_text("The relay cannot reach Redis")
        server.start()
        with redis.Redis.from_url(server.url) as store:
            publications.publish(store, task_progress(task), {"percent": 33, "timestamp": 1})

        expect(page.locator("#connection")).to_have_text("Live")
        expect(page.locator(".row-percent")).to_have_text("33 %")

    def test_an_outage_of_the_database_is_shown(self, visit: Visits, start: StartRelay):
        relay = start(database_url="mysql://nobody@127.0.0.1:1/none")

        page = visit(relay)

        expect(page.locator("#list-note")).to_contain_text("The orders cannot be shown")
        expect(page.locator("#banner")).to_be_visible()


class TestToken:
    @pytest.fixture
    def relay(self, start: StartRelay) -> RunningRelay:
        return start(relay_token_secret=SECRET)

    def token(self, scope: str = "admin", ttl: int = 600) -> str:
        return mint(SECRET, scopes=[scope], subject="tester", issued=int(time.time()), ttl=ttl)

    def give(self, page: Page, token: str) -> None:
        page.get_by_label("Token", exact=True).fill(token)
        page.get_by_role("button", name="Continue").click()

    def test_is_asked_for_once(self, visit: Visits, relay: RunningRelay, shop: Shop, publish: Publish):
        [task] = shop.paid("DH1")
        shop.start(shop.claimed(task))
        page = visit.open(relay)
        expect(page.get_by_role("dialog")).to_be_visible()
        expect(page.locator(".row")).to_have_count(0)

        self.give(page, "nonsense")
        expect(page.get_by_role("alert").filter(has_text="refused")).to_contain_text("not valid")
        sockets: list[str] = []
        page.on("websocket", lambda socket: sockets.append(socket.url))
        self.give(page, self.token())

        expect(page.locator(".row-code")).to_have_text(["DH1"])
        expect(page.locator("#connection")).to_have_text("Live")
        publish(task, 40)
        expect(page.locator(".row-percent")).to_have_text("40 %")
        assert len(sockets) == 1  # a socket that has not sent the token is closed, and another is opened
        page.reload()
        expect(page.locator(".row-code")).to_have_text(["DH1"])
        assert page.evaluate("document.cookie") == ""

    def test_of_a_customer_is_refused(self, visit: Visits, relay: RunningRelay, shop: Shop):
        shop.paid("DH1")
        page = visit.open(relay)

        self.give(page, self.token("order:1"))

        expect(page.get_by_role("alert").filter(has_text="refused")).to_contain_text("its scope is not admin")
        self.give(page, self.token())
        expect(page.locator(".row")).to_have_count(1)

    def test_is_asked_for_again_when_it_expires(self, visit: Visits, relay: RunningRelay, shop: Shop):
        shop.paid("DH1")
        page = visit.open(relay)
        live = page.locator("#connection[data-state=live]")
        expired = page.get_by_role("dialog").get_by_text("expired")
        for ttl in (4, 8, 16, 32):  # on a busy machine a token may be over before the page is live
            self.give(page, self.token(ttl=ttl))
            live.or_(expired).first.wait_for()
            if live.is_visible():
                break

        expect(expired).to_be_visible()
        self.give(page, self.token())

        expect(page.locator("#connection")).to_have_text("Live")
        expect(page.locator(".row")).to_have_count(1)
