"""The page when the relay, Redis or the database goes away."""

from __future__ import annotations

import signal

import pytest
import redis

from orderctl import publications
from orderctl.channels import task_progress
from tests.relay.conftest import RunningRelay, StartRelay
from tests.relay.page.conftest import Publish, Visits, expect, wait_for_subscriptions
from tests.servers.redis import RedisServer
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")


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

        expect(page.locator("#list-failure")).to_contain_text("The orders cannot be shown")
        expect(page.locator("#banner")).to_be_visible()
