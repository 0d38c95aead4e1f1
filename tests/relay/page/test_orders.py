"""The list of orders: its rows, live updates, filters and search."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import redis

from orderctl import database, publications, tasks
from orderctl.channels import order_complete, order_status, task_status
from orderctl.schema import download_tasks, orders
from tests.relay.conftest import RunningRelay
from tests.relay.page.conftest import Publish, Visits, expect, wait_for_subscriptions
from tests.shop import Shop

if TYPE_CHECKING:
    from playwright.sync_api import Page

#: The API's tests cover the other databases.
pytestmark = pytest.mark.databases("sqlite")


def codes(page: Page) -> list[str]:
    return page.locator(".row-code").all_inner_texts()


def fill(shop: Shop, count: int) -> None:
    """Insert ``count`` paid orders of two tasks, faster than by the domain's verbs."""
    now = {"created_at": database.utc_now()}
    with shop.engine.begin() as connection:
        for number in range(1, count + 1):
            values = {
                "id": number, "order_code": f"DH{number:05}", "user_email": "a@example.com", "round": 0,
                "order_status": "processing", "payment_status": "paid", "total_amount": 300_000,
            }  # fmt: skip
            connection.execute(orders.insert().values(**values, **now))
            for task in (2 * number - 1, 2 * number):
                row = {
                    "id": task, "order_id": number, "course_url": "http://courses.example/", "title": "Go",
                    "status": "downloading", "managed": 0, "attempt": 1, "max_attempts": 3,
                }  # fmt: skip
                connection.execute(download_tasks.insert().values(**row, **now))


COLOR = "(element) => getComputedStyle(element).color"
#: Where each part of a bar begins and ends, in percent.
SHARES = """(bar) => {
    const whole = bar.getBoundingClientRect();
    const share = (x) => Math.round((x - whole.left) / whole.width * 100);
    const parts = [...bar.children].map((part) => [part.className, part.getBoundingClientRect()]);
    return Object.fromEntries(parts.map(([name, { left, right }]) => [name, [share(left), share(right)]]));
}"""
SETTLED = "(bar) => bar.getAnimations({ subtree: true }).length === 0"


class TestList:
    def test_shows_paid_orders_newest_first(self, visit: Visits, relay: RunningRelay, shop: Shop):
        first, _ = shop.paid("DH1", 2, email="one@example.com")
        shop.carry_out(first)
        shop.paid("DH2")
        shop.add("unpaid")

        page = visit(relay)

        expect(page.locator(".row-code")).to_have_text(["DH2", "DH1"])
        row = page.locator(".row").nth(1)
        expect(row).to_contain_text("one@example.com")
        expect(row.locator(".badge")).to_have_text("processing")
        expect(row.locator(".row-now")).to_contain_text("1 of 2 tasks")
        expect(row.locator(".row-percent")).to_have_text("50 %")
        expect(row.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "50")
        expect(row.locator(".row-amount")).to_contain_text("300,000")
        expect(page.locator("#list-note")).to_have_text("2 orders")

    def test_shows_the_numbers_of_orders_and_tasks(self, visit: Visits, relay: RunningRelay, shop: Shop):
        for task in shop.paid("DH1", 2):
            shop.carry_out(task)
        shop.paid("DH2")

        page = visit(relay)

        cards = page.locator(".card")
        expect(cards.filter(has_text="All paid").locator(".card-number")).to_have_text("2")
        expect(cards.filter(has_text="Completed").locator(".card-number")).to_have_text("1")
        none = cards.filter(has_text="Failed").locator(".card-number")
        expect(none).to_have_text("0")
        expect(page.locator("#task-numbers")).to_contain_text("1 pending, 2 completed")
        assert none.evaluate(COLOR) == cards.filter(has_text="Cancelled").locator(".card-number").evaluate(
            COLOR
        )

    def test_a_failed_order_shows_what_failed_and_what_succeeded(
        self, visit: Visits, relay: RunningRelay, shop: Shop
    ):
        done, failed, cancelled, _ = shop.paid("DH1", 4)
        shop.carry_out(done)
        shop.fail(failed)
        shop.transact(lambda c: tasks.cancel(c, cancelled, actor="tester"))

        page = visit(relay, f"#/orders/{shop.order('DH1').id}")

        page.locator(".task").first.wait_for()
        for bar in (page.locator(".row .bar"), page.locator(".panel-head .bar")):
            expect(bar).to_have_attribute("aria-valuetext", "1 of 3 tasks completed, 1 failed, 1 cancelled")
            page.wait_for_function(SETTLED, arg=bar.element_handle())
            shares = bar.evaluate(SHARES)
            assert shares == {"bar-fill": [0, 25], "bar-failed": [50, 75], "bar-cancelled": [75, 100]}
        expect(page.locator(".row-now")).to_contain_text("1 of 3 tasks, 1 failed, 1 cancelled")

    def test_numbers_that_are_old_or_lower_bounds_say_so(self, visit: Visits, relay: RunningRelay):
        numbers = {
            "orders": {"total": 10_003, "failed": 3, "completed": 10_000},
            "tasks": {"pending": 24, "failed": 2},
            "atLeast": ["orders.completed", "orders.total", "tasks.pending"],
            "countedAt": (datetime.now(UTC) - timedelta(minutes=5)).isoformat(),
        }
        page = visit(relay)
        page.route("**/api/admin/dashboard/stats**", lambda route: route.fulfill(json={"data": numbers}))
        page.reload()

        cards = page.locator(".card")
        expect(cards.filter(has_text="Completed").locator(".card-number")).to_have_text("10,000+")
        expect(cards.filter(has_text="Failed").locator(".card-number")).to_have_text("3")
        expect(page.locator("#task-numbers")).to_have_text("Tasks: 24+ pending, 2 failed · counted 5m ago")

    def test_an_empty_list(self, visit: Visits, relay: RunningRelay):
        expect(visit(relay).locator("#list-note")).to_have_text("No paid orders yet.")

    def test_scrolling_loads_older_orders(self, visit: Visits, relay: RunningRelay, shop: Shop):
        fill(shop, 250)
        page = visit(relay)
        expect(page.locator(".row")).to_have_count(100)
        expect(page.locator("#list-note")).to_have_text("250 orders")

        while page.locator(".row").count() < 250:
            page.mouse.wheel(0, 5000)
            page.wait_for_timeout(50)

        assert codes(page) == [f"DH{number:05}" for number in range(250, 0, -1)]
        expect(page.locator("#more")).to_be_hidden()

    def test_only_visible_orders_are_subscribed_to(
        self, visit: Visits, relay: RunningRelay, shop: Shop, publish: Publish
    ):
        fill(shop, 1000)
        page = visit(relay)
        while page.locator(".row").count() < 1000:
            page.mouse.wheel(0, 20_000)
            page.wait_for_timeout(50)

        row = page.locator(".row").nth(500)
        row.scroll_into_view_if_needed()
        task = 2 * 500
        row.locator(".row-code", has_text="DH00500").wait_for()
        for percent in range(10, 100):
            publish(task, percent)
            page.wait_for_timeout(100)
            if "01.mp4" in row.inner_text():
                break

        assert "01.mp4 · 976.6 KiB/s" in row.inner_text()
        assert relay.metric("subscriptions") < 3 * 40


#: Numbers the frames that the page draws, and notes in which one the last message came.
COUNT_FRAMES = """
    window.frame = 0;
    window.lags = [];
    const count = () => { window.frame += 1; requestAnimationFrame(count); };
    requestAnimationFrame(count);
    window.WebSocket = class extends WebSocket {
        constructor(...all) {
            super(...all);
            this.addEventListener("message", () => { window.heardIn = window.frame; });
        }
    };
"""


class TestLive:
    def test_progress_is_seen_within_two_frames_of_its_message(
        self, visit: Visits, relay: RunningRelay, shop: Shop, publish: Publish
    ):
        first, _ = shop.paid("DH1", 2)
        shop.start(shop.claimed(first))
        page = visit(relay, script=COUNT_FRAMES)
        wait_for_subscriptions(relay, page, 3)
        page.evaluate(
            """() => {
                const percent = document.querySelector(".row-percent");
                const note = () => window.lags.push(window.frame - window.heardIn);
                new MutationObserver(note).observe(percent, { childList: true, characterData: true, subtree: true });
            }"""
        )

        for percent in (20, 40, 60):
            publish(first, percent)
            expect(page.locator(".row-percent")).to_have_text(f"{percent // 2} %")

        assert len(lags := page.evaluate("window.lags")) >= 3
        assert max(lags) <= 2
        expect(page.locator(".row-now")).to_have_text("0 of 2 tasks · 01.mp4 · 976.6 KiB/s")

    def test_an_order_that_ends_is_read_again(
        self, visit: Visits, relay: RunningRelay, shop: Shop, store: redis.Redis
    ):
        [task] = shop.paid("DH1")
        claim = shop.claimed(task)
        shop.start(claim)
        page = visit(relay)
        wait_for_subscriptions(relay, page, 2)

        order = shop.order("DH1").id
        for change in shop.complete(claim).messages:
            channel = task_status(task) if "taskId" in change.data() else order_status(order)
            publications.publish(store, channel, change.data())
        data = {"orderId": order, "totalTasks": 1, "completedTasks": 1, "failedTasks": 0, "timestamp": 1}
        publications.publish(store, order_complete(order), data)

        expect(page.locator(".row .badge")).to_have_text("completed")
        expect(page.locator(".row-percent")).to_have_text("100 %")
        expect(page.locator(".row-now")).to_have_text("1 of 1 task")

    def test_new_orders_are_added_at_the_top(self, visit: Visits, relay: RunningRelay, shop: Shop):
        shop.paid("DH1")
        page = visit(relay)
        expect(page.locator(".row")).to_have_count(1)

        shop.paid("DH2")
        page.keyboard.press("r")

        expect(page.locator(".row-code")).to_have_text(["DH2", "DH1"])

    def test_new_orders_keep_the_older_ones_and_the_focus(
        self, visit: Visits, relay: RunningRelay, shop: Shop
    ):
        fill(shop, 150)
        page = visit(relay)
        while page.locator(".row").count() < 150:
            page.mouse.wheel(0, 5000)
            page.wait_for_timeout(50)
        page.locator(".row").nth(120).focus()

        shop.paid("DH2")
        page.keyboard.press("r")

        expect(page.locator(".row")).to_have_count(151)
        assert codes(page) == ["DH2", *[f"DH{number:05}" for number in range(150, 0, -1)]]
        expect(page.locator(".row:focus .row-code")).to_have_text("DH00030")

    def test_an_old_message_is_ignored(
        self, visit: Visits, relay: RunningRelay, shop: Shop, store: redis.Redis
    ):
        [task] = shop.paid("DH1")
        shop.start(shop.claimed(task))
        page = visit(relay)
        wait_for_subscriptions(relay, page, 2)

        for percent, attempt, seq in ((50, 2, 1), (90, 1, 9), (60, 2, 2)):
            publications.publish(
                store,
                f"task:{task}:progress",
                {"percent": percent, "attempt": attempt, "seq": seq, "timestamp": 1},
            )

        expect(page.locator(".row-percent")).to_have_text("60 %")


class TestFilter:
    def test_by_status(self, visit: Visits, relay: RunningRelay, shop: Shop):
        [task] = shop.paid("DH1")
        shop.carry_out(task)
        shop.paid("DH2")
        page = visit(relay)

        page.get_by_role("button", name="Completed").click()
        expect(page.locator(".row-code")).to_have_text(["DH1"])
        assert "status=completed" in page.url

        page.reload()
        expect(page.get_by_role("button", name="Completed")).to_have_attribute("aria-pressed", "true")
        expect(page.locator(".row-code")).to_have_text(["DH1"])

        page.get_by_role("button", name="Cancelled").click()
        expect(page.locator("#list-note")).to_have_text("No orders with status cancelled.")

        page.get_by_role("button", name="All paid").click()
        expect(page.locator(".row-code")).to_have_text(["DH2", "DH1"])

    def test_a_search_for_a_part_finds_loaded_orders(self, visit: Visits, relay: RunningRelay, shop: Shop):
        shop.paid("DH100", email="linh@example.com")
        shop.paid("DH200", email="minh@example.com")
        page = visit(relay)
        search = page.get_by_role("searchbox")

        search.fill("h1")
        expect(page.locator(".row-code")).to_have_text(["DH100"])
        search.fill("MINH")
        expect(page.locator(".row-code")).to_have_text(["DH200"])
        search.fill("nobody")
        expect(page.locator(".row")).to_have_count(0)
        expect(page.locator("#list-note")).to_contain_text("No orders match")
        search.press("Escape")
        expect(page.locator(".row")).to_have_count(2)

    def test_a_search_for_a_complete_code_finds_any_paid_order(
        self, visit: Visits, relay: RunningRelay, shop: Shop
    ):
        fill(shop, 150)
        page = visit(relay)
        expect(page.locator(".row")).to_have_count(100)

        page.get_by_role("searchbox").fill("DH00007")

        expect(page.locator(".row-code")).to_have_text(["DH00007"])
