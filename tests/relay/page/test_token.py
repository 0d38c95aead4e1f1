"""The page's question for a token."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from orderctl.relay.tokens import mint
from tests.relay.conftest import SECRET, RunningRelay, StartRelay
from tests.relay.page.conftest import Publish, Visits, expect
from tests.shop import Shop

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.databases("sqlite")


class TestToken:
    @pytest.fixture
    def relay(self, start: StartRelay) -> RunningRelay:
        return start(relay_token_secret=SECRET)

    def token(self, *scopes: str, ttl: int = 600) -> str:
        return mint(SECRET, scopes=scopes or ["admin"], subject="tester", issued=int(time.time()), ttl=ttl)

    def give(self, page: Page, token: str) -> None:
        page.get_by_label("Token", exact=True).fill(token)
        page.get_by_role("button", name="Continue").click()

    def test_is_asked_for_once(self, visit: Visits, relay: RunningRelay, shop: Shop, publish: Publish):
        [task] = shop.paid("DH1")
        shop.start(shop.claimed(task))
        page = visit.open(relay)
        expect(page.get_by_role("dialog")).to_contain_text("orderctl relay token --scope admin --ttl 12h")
        expect(page.get_by_label("Token", exact=True)).to_be_focused()
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

        expect(page.get_by_role("alert").filter(has_text="refused")).to_contain_text(
            "its scope is not admin or viewer"
        )
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

    def test_of_a_viewer_shows_no_address_and_only_the_buttons_that_it_allows(
        self, visit: Visits, start: StartRelay, shop: Shop
    ):
        [task] = shop.paid("DH1", email="jo@shop.example")
        shop.fail(task)
        relay = start("--allow-actions", relay_token_secret=SECRET)
        page = visit.open(relay, f"#/orders/{shop.order('DH1').id}")

        self.give(page, self.token("viewer", "action:retry"))

        expect(page.locator("#panel")).to_contain_text("e-mail hidden")
        expect(page.get_by_role("button", name=f"Retry task {task}")).to_be_visible()
        expect(page.get_by_role("button", name=f"Cancel task {task}")).to_have_count(0)
        expect(page.get_by_label("Search orders")).to_have_attribute("placeholder", "Order code or id")
        assert "jo@shop.example" not in page.content()
