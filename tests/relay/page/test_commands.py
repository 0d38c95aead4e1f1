"""The commands that the page shows: quoted for a shell, copied by a button, and the ones that help when nothing moves."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from tests.relay.conftest import RunningRelay
from tests.relay.page.conftest import Visits, expect
from tests.shop import Shop

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

pytestmark = pytest.mark.databases("sqlite")

#: As in a page that was not loaded by HTTPS, and not from this machine.
NO_CLIPBOARD = "Object.defineProperty(navigator, 'clipboard', { value: undefined })"


class TestQuoting:
    @pytest.fixture
    def page(self, visit: Visits, relay: RunningRelay) -> Page:
        return visit.open(relay)

    def call(self, page: Page, name: str, given: object) -> Any:
        return page.evaluate(f"async (given) => (await import('/command.js')).{name}(given)", given)

    def test_words_are_quoted_as_python_does(self, page: Page):
        words = [
            "DH1",
            "a b",
            "it's",
            "$(reboot)",
            "`x`",
            "a;b",
            "*",
            "~",
            "đơn",
            "a@b.example",
            "",
            "x=1",
            "#1",
        ]

        assert [self.call(page, "quote", word) for word in words] == [shlex.quote(word) for word in words]

    def test_an_order_whose_code_could_mean_something_else_is_named_by_its_id(self, page: Page):
        names = {
            "DH1": "DH1",
            "D'H": "'D'\"'\"'H'",
            "--yes": "7",
            "#7": "7",
            "DH\n1": "7",
            "": "7",
            "D\u202eH": "7",
        }

        assert {code: self.call(page, "reference", {"id": 7, "code": code}) for code in names} == names


class TestCopying:
    def failed(self, shop: Shop) -> str:
        [task] = shop.paid("DH;1")
        shop.fail(task)
        return f"#/orders/{shop.order('DH;1').id}"

    def test_a_button_copies_the_command_and_says_so(self, visit: Visits, relay: RunningRelay, shop: Shop):
        page = visit(relay, self.failed(shop), permissions=["clipboard-read", "clipboard-write"])
        hint = page.locator(".panel-head .hint")
        expect(hint).to_contain_text("1 of 1 task failed")

        hint.get_by_role("button", name="Copy").click()

        expect(hint.get_by_role("status")).to_have_text("Copied")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == "orderctl tasks retry --failed --order 'DH;1'"

    def test_it_also_does_where_the_browser_offers_no_clipboard(
        self, visit: Visits, relay: RunningRelay, shop: Shop
    ):
        page = visit(relay, self.failed(shop), script=NO_CLIPBOARD)

        page.get_by_role("button", name="Copy: orderctl orders show").click()

        expect(page.locator(".commands").get_by_role("status").last).to_have_text("Copied")
        page.keyboard.press("/")
        page.keyboard.press("Control+v")
        expect(page.get_by_role("searchbox")).to_have_value("orderctl orders show 'DH;1'")


REASON = {"cause": "no-worker", "text": "no <b>worker</b>\u202e is running", "hint": "orderctl worker start"}


class TestWaiting:
    def answer(self, page: Page, waiting: object) -> None:
        """Let the relay say what its orders wait for; ``...`` says nothing, as an older relay."""

        def change(route: Route) -> None:
            body = route.fetch().json()
            for order in body["data"] if isinstance(body["data"], list) else [body["data"]]:
                order.pop("waiting", None)
                if waiting is not ...:
                    order["waiting"] = waiting
            route.fulfill(json=body)

        page.route(re.compile(r"/api/admin/orders/(paid|\d+)(\?|$)"), change)
        page.reload()

    def test_an_order_says_what_it_waits_for_and_which_command_helps(
        self, visit: Visits, relay: RunningRelay, shop: Shop
    ):
        shop.paid("DH1")
        page = visit.open(relay)
        self.answer(page, REASON)
        page.locator(".row").click()

        hint = page.locator(".panel-head .hint")
        expect(hint.locator("p")).to_have_text(r"Waiting: no <b>worker</b>\u202e is running")
        expect(hint.locator("code")).to_have_text("orderctl worker start")
        expect(page.locator(".row-now")).to_contain_text("is running")

    @pytest.mark.parametrize("waiting", [None, ..., "soon"])
    def test_one_that_waits_for_nothing_says_nothing(
        self, visit: Visits, relay: RunningRelay, shop: Shop, waiting: object
    ):
        shop.paid("DH1")
        page = visit.open(relay)
        self.answer(page, waiting)

        page.locator(".row").click()
        page.locator(".task").wait_for()

        expect(page.locator(".hint:visible")).to_have_count(0)


class TestNoDeadEnd:
    def test_an_empty_shop_says_what_to_do_first(self, visit: Visits, relay: RunningRelay, shop: Shop):
        page = visit(relay)
        steps = page.locator("#first-steps")
        expect(steps.locator("code")).to_have_count(4)
        expect(steps.locator("code").nth(1)).to_have_text("orderctl orders pay DH1 --amount 300000")

        page.get_by_role("button", name="Failed").click()
        expect(steps).to_be_hidden()
        shop.paid("DH1")
        page.get_by_role("button", name="All paid").click()
        expect(page.locator(".row")).to_have_count(1)
        expect(steps).to_be_hidden()

    def test_an_order_that_does_not_exist(self, visit: Visits, relay: RunningRelay):
        page = visit(relay, "#/orders/77")
        panel = page.get_by_role("complementary", name="Order")
        expect(panel.get_by_role("alert")).to_contain_text("This order cannot be shown: order 77 not found")
        expect(panel.get_by_role("button", name="Try again")).to_be_visible()

        panel.get_by_role("button", name="Back to the list").click()

        expect(panel).to_be_hidden()

    def test_a_list_that_cannot_be_shown_is_tried_again(self, visit: Visits, relay: RunningRelay, shop: Shop):
        shop.paid("DH1")
        page = visit(relay)
        why = {"error": "the database is not migrated: orderctl migrate up", "data": []}
        page.route("**/api/admin/orders/paid*", lambda route: route.fulfill(status=503, json=why))
        page.reload()
        failure = page.locator("#list-failure")
        expect(failure.locator("p")).to_have_text("The orders cannot be shown: the database is not migrated.")
        expect(failure.locator("code")).to_have_text("orderctl migrate up")

        page.unroute("**/api/admin/orders/paid*")
        failure.get_by_role("button", name="Try again").click()

        expect(page.locator(".row-code")).to_have_text(["DH1"])
        expect(failure).to_be_hidden()

    def test_without_javascript_the_page_names_the_command(self, visit: Visits, relay: RunningRelay):
        page = visit.open(relay, java_script_enabled=False)

        expect(page.get_by_text("This page needs JavaScript")).to_be_visible()
        expect(page.get_by_text("orderctl orders list --paid")).to_be_visible()
        expect(page.locator("#connection, .layout").locator("visible=true")).to_have_count(0)
