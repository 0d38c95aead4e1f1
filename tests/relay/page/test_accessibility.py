"""Hostile text, small screens, keyboard use, themes, the page's files and its text functions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from orderctl import publications
from orderctl.channels import task_status
from orderctl.relay.assembly import PAGE
from orderctl.states import Severity
from tests.relay.conftest import RunningRelay
from tests.relay.page.conftest import Visits, expect, wait_for_subscriptions
from tests.shop import Shop

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.databases("sqlite")

HOSTILE = "<img src=x onerror='window.harmed=1'><script>window.harmed=1</script>"
TURNED = "\u202egpj.exe\x1b[31m"
PHONE = {"width": 360, "height": 740}


def poison(shop: Shop) -> tuple[int, int]:
    """Write hostile text into every field of an order; return the ids of the order and its task."""
    [task] = shop.paid("DH1")
    order = shop.order("DH1").id
    shop.execute("UPDATE orders SET order_code=:t, user_email=:t, order_status='<b>odd</b>'", t=HOSTILE)
    shop.execute(
        "UPDATE download_tasks SET title=:t, course_url='javascript:window.harmed=1', error_log=:e,"
        " drive_link='data:text/html,<script>window.harmed=1</script>', error_type=:t, error_fingerprint=:t,"
        " status='failed'",
        t=HOSTILE + TURNED,
        e=HOSTILE * 50,
    )
    details = {HOSTILE: HOSTILE, "__proto__": {"harmed": 1}, "constructor": "x"}
    shop.record(order, HOSTILE[:60], Severity.ERROR, task_id=task, message=HOSTILE * 3, details=details)
    shop.execute("UPDATE order_audit_logs SET severity='<i>', source=:t, actor=:t", t=HOSTILE)
    return order, task


class TestHostileText:
    def test_is_shown_as_text(self, visit: Visits, relay: RunningRelay, shop: Shop, store: redis.Redis):
        order, task = poison(shop)
        page = visit(relay, f"#/orders/{order}")
        wait_for_subscriptions(relay, page, 2)
        page.locator("summary").first.click()
        shop.execute("UPDATE download_tasks SET status='downloading'")
        publications.publish(store, task_status(task), {"newStatus": "downloading", "timestamp": 1})
        data = {"percent": 5, "currentFile": HOSTILE + TURNED, "timestamp": 1, "__proto__": {"harmed": 1}}
        publications.publish(store, f"task:{task}:progress", data)

        now = page.locator(".task-now")
        expect(now).to_contain_text(HOSTILE)
        expect(now).to_contain_text(r"\u202egpj.exe\x1b[31m")
        expect(page.locator(".panel-title")).to_have_text(HOSTILE)
        expect(page.locator(".log-message").first).to_contain_text(HOSTILE)
        expect(page.locator("dt").first).to_be_visible()
        shop.execute("UPDATE download_tasks SET status='failed'")
        page.evaluate("location.hash = '#/errors'")
        expect(page.locator(".error-message")).to_contain_text(HOSTILE)
        expect(page.locator(".error-group")).not_to_contain_text("orderctl tasks retry")
        assert page.evaluate("[window.harmed, {}.harmed]") == [None, None]
        assert page.locator("main img, main script, aside img, aside script, aside b").count() == 0

    def test_becomes_no_link(self, visit: Visits, relay: RunningRelay, shop: Shop):
        order, _ = poison(shop)
        page = visit(relay, f"#/orders/{order}")
        page.locator(".task").wait_for()

        links = page.locator("a").evaluate_all("links => links.map(link => link.protocol)")

        assert set(links) == {"http:"}
        assert page.locator(".task a").count() == 0

    def test_does_not_widen_the_page(self, visit: Visits, relay: RunningRelay, shop: Shop):
        order, _ = poison(shop)
        shop.execute("UPDATE download_tasks SET title=:t, error_log=:t", t="W" * 250)

        page = visit(relay, f"#/orders/{order}", viewport=PHONE)
        page.locator(".task").wait_for()

        assert overflow(page) == 0

    def test_values_of_wrong_types_are_shown(self, visit: Visits, relay: RunningRelay, shop: Shop):
        shop.paid("DH1")
        page = visit.open(relay)
        odd = {
            "id": 7, "order_code": {"a": 1}, "order_status": None, "user_email": ["x"], "total_amount": "1e999",
            "created_at": 5, "stats": None, "tasks": [{"id": "8", "status": 1, "currentProgress": "x"}, None, 5],
        }  # fmt: skip
        junk = {"data": [odd, None, 3, {"id": -1}], "pagination": None}
        page.route("**/api/admin/orders/paid**", lambda route: route.fulfill(json=junk))
        page.reload()

        expect(page.locator(".row-code")).to_have_text(['{"a":1}'])
        expect(page.locator(".row-amount")).to_have_text("\u2013")


def overflow(page: Page) -> int:
    """Return by how many pixels the page or the panel is wider than the window."""
    return page.evaluate(
        "Math.max(...[document.documentElement, document.getElementById('panel')]"
        ".map((one) => one.scrollWidth)) - innerWidth"
    )


class TestPhone:
    def test_everything_fits(self, visit: Visits, relay: RunningRelay, shop: Shop):
        tasks = shop.paid("DH1234567890", 3, email="a.rather.long.name.of.a.customer@mail.example.com")
        shop.record(
            shop.order("DH1234567890").id, "download_failed", Severity.ERROR, details={"a": "b" * 300}
        )
        shop.execute("UPDATE download_tasks SET status='failed', error_log=:e", e="TIMEOUT: " + "x" * 300)
        page = visit(relay, viewport=PHONE)
        page.locator(".row").wait_for()
        assert overflow(page) == 0

        page.locator(".row").click()
        page.locator(".task").nth(len(tasks) - 1).wait_for()
        page.locator("summary").first.click()
        assert overflow(page) == 0
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
        [task] = shop.paid("DH1")
        shop.execute("UPDATE download_tasks SET status='failed', error_log='TIMEOUT: x'")
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


class TestFiles:
    def test_requests_go_to_the_relay_only(self, visit: Visits, relay: RunningRelay, shop: Shop):
        shop.paid("DH1")
        page = visit(relay)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))

        page.reload()
        page.locator(".row").wait_for()

        assert len(asked) > 15
        assert {url.split("/")[2] for url in asked} == {f"127.0.0.1:{relay.port}"}

    def test_each_is_requested_and_found(self, visit: Visits, relay: RunningRelay):
        page = visit.open(relay)
        asked: dict[str, int] = {}
        page.on("response", lambda response: asked.update({Path(response.url).name: response.status}))
        page.reload()
        page.locator(".row, #list-note:not(:empty)").first.wait_for()

        files = {file.name for file in PAGE.iterdir()} - {"index.html"}

        assert {name for name in asked if name in files or re.search(r"\.\w+$", name)} == files
        assert {asked[name] for name in files} <= {200, 304}


class TestWords:
    """Functions that do not use the document, each with a table of examples."""

    @pytest.fixture
    def page(self, visit: Visits, relay: RunningRelay) -> Page:
        return visit.open(relay)

    def call(self, page: Page, module: str, name: str, *arguments: object) -> object:
        source = "async ([module, name, args]) => (await import(module))[name](...args)"
        return page.evaluate(source, [f"/{module}.js", name, arguments])

    def test_of_text_js(self, page: Page):
        table = [
            ("line", "a\nb\tc", r"a\x0ab\x09c"),
            ("line", "x\u202ey\ud800", r"x\u202ey\ud800"),
            ("line", "👩\u200d💻 Lập trình", "👩\u200d💻 Lập trình"),
            ("line", None, ""),
            ("line", {"a": 1}, '{"a":1}'),
            ("block", "a\r\nb\x00", "a\nb\\x00"),
            ("words", "download_failed", "download failed"),
            ("percent", 99.99, "99 %"),
            ("percent", None, "\u2013"),
            ("speed", 1_250_000, "1.3 MB/s"),
            ("speed", 25_000_000, "25 MB/s"),
            ("speed", 900, "0.9 kB/s"),
            ("speed", 0, ""),
            ("duration", 4, "a few seconds"),
            ("duration", 41, "45 s"),
            ("duration", 150, "3 min"),
            ("duration", 8000, "2 h 13 min"),
            ("duration", 400_000, "5 d"),
        ]

        assert [(name, given, self.call(page, "text", name, given)) for name, given, _ in table] == table

    def test_money(self, page: Page):
        assert self.call(page, "text", "money", 300000, "VND") == "₫300,000"
        assert self.call(page, "text", "money", 12.5, "EUR") == "€12.50"
        assert self.call(page, "text", "money", 12.5, "no currency") == "12.5 no currency"

    def test_addresses(self, page: Page):
        table = {
            "https://a.example/b?c#d": "https://a.example/b?c#d",
            "HTTP://a.example": "http://a.example/",
            "javascript:alert(1)": None,
            " java\nscript:alert(1)": None,
            "data:text/html,x": None,
            "//a.example": None,
            "/relative": None,
            "file:///etc/passwd": None,
            "": None,
        }

        assert {url: self.call(page, "dom", "webAddress", url) for url in table} == table

    def test_time_left(self, page: Page):
        left = """async (looks) => {
            const pace = new (await import("/pace.js")).Pace();
            for (const [percent, now] of looks) pace.note(percent, now);
            return pace.left();
        }"""

        assert page.evaluate(left, [[10, 0], [20, 10_000]]) == pytest.approx(80)
        assert page.evaluate(left, [[10, 0]]) is None
        assert page.evaluate(left, [[10, 0], [10, 10_000]]) is None
        # A new attempt removes older samples, and so does their age.
        assert page.evaluate(left, [[90, 0], [0, 10_000], [10, 20_000]]) == pytest.approx(90)
        assert page.evaluate(left, [[0, 0], [50, 100_000], [60, 110_000]]) == pytest.approx(40)

    def test_a_task_ignores_an_older_message(self, page: Page):
        percents = """async (messages) => {
            const task = new (await import("/order.js")).Task(1, 1);
            task.read({ id: 1, status: "downloading" }, 0);
            return messages.map((message) => { task.progress(message, 1); return task.percent; });
        }"""
        messages = [
            {"percent": 50, "attempt": 2, "seq": 1},
            {"percent": 90, "attempt": 1, "seq": 9},
            {"percent": 60, "attempt": 2, "seq": 2},
        ]

        assert page.evaluate(percents, messages) == [50, 50, 60]

    def test_an_answer_does_not_undo_newer_messages(self, page: Page):
        states = """async () => {
            const task = new (await import("/order.js")).Task(1, 1);
            task.read({ id: 1, status: "pending" }, 0);
            task.move({ newStatus: "downloading" }, 20);
            task.progress({ percent: 5, timestamp: 1 }, 21);
            task.read({ id: 1, status: "pending", currentProgress: 0, drive_link: "x" }, 10);
            const [status, percent, link] = [task.status, task.percent, task.link];
            task.read({ id: 1, status: "failed", currentProgress: 5, error_log: "why" }, 30);
            return [status, percent, link, task.status, task.error];
        }"""

        assert page.evaluate(states) == ["downloading", 5, "x", "failed", "why"]

    def test_which_message_is_newer(self, page: Page):
        def newer(data: dict[str, object], than: dict[str, object] | None) -> object:
            return self.call(page, "order", "isNewer", data, than)

        assert newer({}, None)
        assert newer({"attempt": 2, "seq": 1}, {"attempt": 1, "seq": 9})
        assert not newer({"attempt": 1, "seq": 9}, {"attempt": 1, "seq": 9})
        assert newer({"timestamp": 2}, {"timestamp": 1})
        assert not newer({"timestamp": 1, "seq": 5}, {"timestamp": 1})
