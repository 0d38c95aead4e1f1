"""Small screens, keyboard use and themes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orderctl import tasks
from orderctl.states import ErrorType, Severity
from tests.relay.conftest import RunningRelay
from tests.relay.page.conftest import PHONE, Visits, expect, overflow
from tests.shop import Shop

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.databases("sqlite")


#: The heights of what a finger has to hit.
HEIGHTS = """() => [...document.querySelectorAll(".top a, button, select, .task-links a")]
    .filter((one) => one.checkVisibility() && !one.closest("[inert]"))
    .map((one) => one.getBoundingClientRect().height)"""


class TestPhone:
    def test_everything_fits(self, visit: Visits, relay: RunningRelay, shop: Shop):
        email = "a.rather.long.name.of.a.customer@mail.example.com"
        failed = shop.paid("DH1234567890", 3, email=email, amount="9876543210")
        shop.record(
            shop.order("DH1234567890").id, "download_failed", Severity.ERROR, details={"a": "b" * 300}
        )
        for task in failed:
            shop.fail(task, ErrorType.TIMEOUT, "x" * 300)
        page = visit(relay, viewport=PHONE)
        page.locator(".row").wait_for()
        assert overflow(page) == 0
        amount = page.locator(".row-amount")
        expect(amount).to_have_text("₫9,876,543,210")
        expect(amount).to_be_in_viewport(ratio=1)
        assert amount.evaluate("(one) => one.scrollWidth <= one.clientWidth && one.clientHeight < 30")

        page.locator(".row").click()
        page.locator(".task").nth(len(failed) - 1).wait_for()
        page.locator("summary").first.click()
        assert overflow(page) == 0
        assert min(page.evaluate(HEIGHTS)) >= 44
        panel = page.locator("#panel").bounding_box()
        assert panel is not None
        assert (panel["x"], panel["width"]) == (0, PHONE["width"])
        assert page.evaluate("document.getElementById('main').inert")  # the panel covers it

        page.go_back()
        expect(page.locator("#panel")).to_be_hidden()
        page.get_by_role("link", name="Errors").click()
        page.locator(".error-group").wait_for()
        assert overflow(page) == 0


class TestKeyboard:
    def test_list_panel_and_search(self, visit: Visits, relay: RunningRelay, shop: Shop):
        for number in range(3):
            shop.paid(f"DH{number}")
        page = visit(relay)
        expect(page.locator(".row")).to_have_count(3)
        focused = page.locator(".row:focus .row-code")

        page.keyboard.press("j")
        expect(focused).to_have_text("DH2")
        page.keyboard.press("j")
        page.keyboard.press("ArrowDown")
        expect(focused).to_have_text("DH0")
        page.keyboard.press("k")
        page.keyboard.press("Enter")
        expect(page.locator(".panel-title")).to_have_text("DH1")
        page.keyboard.press("j")
        expect(page.locator(".panel-title")).to_have_text("DH0")
        page.keyboard.press("Escape")
        expect(page.locator("#panel")).to_be_hidden()
        expect(focused).to_have_text("DH0")
        page.keyboard.press("/")
        page.keyboard.type("DH1e")
        expect(page.locator(".row")).to_have_count(0)
        page.keyboard.press("Escape")
        expect(page.locator(".row")).to_have_count(3)

    def test_filters_views_and_the_list_of_shortcuts(self, visit: Visits, relay: RunningRelay):
        page = visit(relay)

        page.keyboard.press("5")
        expect(page.get_by_role("button", name="Failed")).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("e")
        expect(page.get_by_role("heading", name="Errors")).to_be_visible()
        page.keyboard.press("o")
        expect(page.get_by_role("searchbox")).to_be_visible()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)

    def test_the_list_is_one_tab_stop_with_a_visible_focus(
        self, visit: Visits, relay: RunningRelay, shop: Shop
    ):
        for number in range(3):
            shop.paid(f"DH{number}")
        page = visit(relay)
        page.locator(".row").first.wait_for()
        page.get_by_role("searchbox").focus()

        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.querySelector('.row-code').textContent") == "DH2"
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('#list')") is None

    def test_every_control_has_a_name(self, visit: Visits, relay: RunningRelay, shop: Shop):
        shop.paid("DH1")
        page = visit(relay, f"#/orders/{shop.order('DH1').id}")
        page.locator(".task").wait_for()

        nameless = page.evaluate(
            """() => [...document.querySelectorAll("a, button, input, select, [role=progressbar]")]
                .filter((one) => one.checkVisibility())
                .filter((one) => !(one.textContent.trim() || one.getAttribute("aria-label") || one.labels?.length))
                .map((one) => one.outerHTML)"""
        )

        assert nameless == []


class TestTheme:
    def test_follows_the_system_until_one_is_chosen(self, visit: Visits, relay: RunningRelay):
        page = visit(relay, color_scheme="dark")
        dark = background(page)
        page.emulate_media(color_scheme="light")
        light = background(page)
        assert dark != light

        toggle = page.locator("#theme")
        toggle.click()
        toggle.click()
        expect(page.locator("#theme-name")).to_have_text("Dark")
        assert background(page) == dark
        page.reload()
        assert background(page) == dark
        toggle.click()
        assert background(page) == light

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_text_has_enough_contrast(self, visit: Visits, relay: RunningRelay, shop: Shop, scheme: str):
        task, other = shop.paid("DH1", 2)
        shop.fail(task, ErrorType.TIMEOUT, "x")
        shop.transact(lambda c: tasks.cancel(c, other, actor="tester"))
        shop.record(shop.order("DH1").id, "late", Severity.WARNING, task_id=task)
        page = visit(relay, f"#/orders/{shop.order('DH1').id}", color_scheme=scheme)
        page.locator(".log-event").first.wait_for()

        contrasts = page.evaluate(CONTRASTS)

        assert len(contrasts) > 30
        assert [one for one in contrasts if one[0] < 4.5] == []


def background(page: Page) -> str:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


#: The contrast of each text with its background (WCAG 2, 1.4.3), and the text.
CONTRASTS = """() => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const paint = (colors) => {
        context.clearRect(0, 0, 1, 1);
        for (const color of colors) { context.fillStyle = color; context.fillRect(0, 0, 1, 1); }
        return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const luminance = (rgb) => {
        const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        const shown = walker.currentNode.textContent.trim();
        if (!shown || !element.checkVisibility({ visibilityProperty: true }) || element.closest(".unseen, .skip, noscript, .notice")) continue;
        const behind = [];
        for (let one = element; one; one = one.parentElement) behind.unshift(getComputedStyle(one).backgroundColor);
        const [a, b] = [paint(behind), paint([...behind, getComputedStyle(element).color])].map(luminance).sort((x, y) => y - x);
        found.push([(a + 0.05) / (b + 0.05), shown.slice(0, 40)]);
    }
    return found;
}"""
