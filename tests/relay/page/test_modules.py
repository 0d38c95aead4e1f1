"""The page's files: each is used, none comes from elsewhere, and its functions for words, money and messages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orderctl.relay.assembly import PAGE
from tests import units
from tests.relay.conftest import RunningRelay
from tests.relay.page.conftest import Visits
from tests.shop import Shop

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.databases("sqlite")


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
            ("speed", 1_572_864, "1.5 MiB/s"),
            ("speed", 0, ""),
            ("speed", None, ""),
            ("duration", 41, "41s"),
            *(("size", given, shown) for given, shown in units.SIZES),
            *(("relative", given, shown) for given, shown in units.AGES),
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
