"""The panel of one order, with its tasks and its audit log, and the view of errors."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import redis

from orderctl import failures, publications
from orderctl.channels import task_status
from orderctl.failures import Failure
from orderctl.states import ErrorType, Severity
from orderctl.why.chain import Link
from tests.relay.conftest import RunningRelay
from tests.relay.page.conftest import Publish, Visits, expect, overflow, wait_for_subscriptions
from tests.shop import Shop

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.databases("sqlite")


def events(page: Page) -> list[str]:
    return page.locator(".log-type").all_inner_texts()


class TestTasks:
    def test_a_task_shows_its_progress(
        self, visit: Visits, relay: RunningRelay, shop: Shop, publish: Publish
    ):
        first, second = shop.paid("DH1", 2)
        shop.start(shop.claimed(first))
        page = visit(relay)
        page.locator(".row").click()
        panel = page.locator("#panel")
        expect(panel.get_by_role("heading", name="DH1")).to_be_visible()
        card = page.locator(f"[data-task='{first}']")
        wait_for_subscriptions(relay, page, 3)

        publish(first, 20, "intro.mp4", 2_500_000)

        expect(card.locator(".task-now")).to_have_text(f"task {first} · intro.mp4 · 2.4 MiB/s")
        expect(card.locator(".task-percent")).to_have_text("20 %")
        expect(card.locator(".badge")).to_have_text("downloading")
        expect(page.locator(f"[data-task='{second}'] .badge")).to_have_text("pending")

    def test_a_task_shows_the_time_left(
        self, visit: Visits, relay: RunningRelay, shop: Shop, publish: Publish
    ):
        [task] = shop.paid("DH1")
        shop.start(shop.claimed(task))
        page = visit(relay, f"#/orders/{shop.order('DH1').id}")
        wait_for_subscriptions(relay, page, 2)

        publish(task, 10)
        expect(page.locator(".task-percent")).to_have_text("10 %")
        page.wait_for_timeout(2000)
        publish(task, 11)

        expect(page.locator(".task-now")).to_contain_text(re.compile(r"\d+m left"))

    def test_a_task_that_waits_after_a_failure_says_when_it_is_tried_again(
        self, visit: Visits, relay: RunningRelay, shop: Shop, store: redis.Redis
    ):
        """The API says so when the page is opened, a message when it happens."""
        first, second = shop.paid("DH1", 2)
        away = Failure(ErrorType.NETWORK, "connection refused", "abc123")
        claims = {task: shop.claimed(task) for task in (first, second)}
        shop.transact(lambda c: failures.fail(c, claims[first], away, retry_transient=True))
        shop.execute(
            "UPDATE download_tasks SET available_at = :then, failing_since = :since WHERE id = :id",
            id=first,
            then=f"{shop.now() + timedelta(minutes=20):%F %T}",
            since=f"{shop.now() - timedelta(minutes=30):%F %T}",
        )
        page = visit(relay, f"#/orders/{shop.order('DH1').id}")
        now = page.locator(f"[data-task='{first}'] .task-now")
        expect(now).to_contain_text(re.compile(r"next try in (19|20)m · failing for (30|31)m"))
        wait_for_subscriptions(relay, page, 3)

        moved = shop.transact(lambda c: failures.fail(c, claims[second], away, retry_transient=True))
        publications.changes(store, moved.messages)

        expect(page.locator(f"[data-task='{second}'] .task-now")).to_contain_text(
            re.compile(r"failing for \d+[sm]")
        )

    def test_a_task_links_its_files_and_its_course(self, visit: Visits, relay: RunningRelay, shop: Shop):
        [task] = shop.paid("DH1", ["http://courses.example/go"])
        shop.carry_out(task)
        shop.execute("UPDATE download_tasks SET drive_link='https://drive.example/DH1/1/'")

        page = visit(relay, f"#/orders/{shop.order('DH1').id}")

        files = page.get_by_role("link", name="Files")
        expect(files).to_have_attribute("href", "https://drive.example/DH1/1/")
        assert "noopener" in (files.get_attribute("rel") or "")
        expect(page.get_by_role("link", name="Course")).to_have_attribute("href", "http://courses.example/go")

    def test_a_failed_task_shows_its_error(
        self, visit: Visits, relay: RunningRelay, shop: Shop, store: redis.Redis
    ):
        [task] = shop.paid("DH1")
        page = visit(relay, f"#/orders/{shop.order('DH1').id}")
        wait_for_subscriptions(relay, page, 2)

        shop.fail(task, ErrorType.TIMEOUT, "no byte for 60 s")
        change = {"newStatus": "failed", "error": "no byte", "errorType": "TIMEOUT", "timestamp": 1}
        publications.publish(store, task_status(task), {"taskId": task, **change})

        expect(page.locator(".task-error")).to_have_text("TIMEOUT: no byte for 60 s")
        expect(page.locator(".task .badge")).to_have_text("failed")

    def test_a_link_to_an_order_that_is_not_in_the_list(self, visit: Visits, relay: RunningRelay, shop: Shop):
        shop.add("unpaid")

        page = visit(relay, f"#/orders/{shop.order('unpaid').id}")

        expect(page.locator(".panel-title")).to_have_text("unpaid")

    def test_beside_a_long_code_the_status_stays_on_one_line(
        self, visit: Visits, relay: RunningRelay, shop: Shop
    ):
        code = "KHOAHOC-2026-NGUYEN-THI-MINH-KHAI-0042"
        shop.paid(code)

        page = visit(relay, f"#/orders/{shop.order(code).id}")

        badge = page.locator(".panel-line .badge")
        expect(badge).to_have_text("pending")
        assert badge.evaluate("(one) => one.clientHeight") < 30

    def test_an_order_that_does_not_exist(self, visit: Visits, relay: RunningRelay):
        page = visit(relay, "#/orders/999")

        expect(page.locator("#panel")).to_contain_text("cannot be shown: order 999 not found")
        page.get_by_role("button", name="Back to the list").click()
        expect(page.locator("#panel")).to_be_hidden()


class TestWhy:
    def test_the_first_broken_link_with_its_command(self, visit: Visits, relay: RunningRelay, shop: Shop):
        """It is asked for, asked again with the order, and hidden again; its texts are no markup."""
        [task] = shop.paid("DH1")
        shop.fail(task, ErrorType.CHECKSUM, "<b>wrong</b> size")
        page = visit(relay, f"#/orders/{shop.order('DH1').id}", viewport={"width": 360, "height": 800})
        why = page.get_by_role("button", name="Why?")
        expect(page.locator(".why-link")).to_have_count(0)

        why.click()

        expect(page.locator(".why-link")).to_have_count(len(Link))
        expect(page.locator(".why-link[data-state=broken] .why-name").first).to_have_text("handler")
        expect(page.locator(".why-answer")).to_contain_text(f"task {task} failed: the file came damaged")
        expect(page.locator(".why-facts")).to_contain_text("CHECKSUM: <b>wrong</b> size")
        expect(page.locator(".why-answer code")).to_have_text(f"orderctl tasks retry {task}")
        assert overflow(page) <= 0
        shop.execute("UPDATE download_tasks SET error_type = 'NOT_FOUND', error_log = 'HTTP 404'")
        page.keyboard.press("r")
        expect(page.locator(".why-answer")).to_contain_text("UPDATE download_tasks SET course_url")
        expect(page.locator(".why-answer code")).to_have_text(f"orderctl tasks retry {task}")
        page.get_by_role("button", name="Hide").click()
        expect(page.locator(".why-link")).to_have_count(0)


class TestLog:
    def test_events_with_their_details(self, visit: Visits, relay: RunningRelay, shop: Shop):
        [task] = shop.paid("DH1")
        order = shop.order("DH1").id
        details = {"error_type": "TIMEOUT", "stack_trace": "line one\nline two", "files": [1, 2]}
        shop.record(
            order, "download_failed", Severity.ERROR, task_id=task, message="It failed", details=details
        )

        page = visit(relay, f"#/orders/{order}")

        expect(page.locator(".log-type")).to_have_text(
            ["download failed", "payment received", "task created"]
        )
        newest = page.locator(".log-event").first
        expect(newest).to_have_attribute("data-severity", "error")
        expect(newest.locator(".log-message")).to_have_text("It failed")
        expect(newest.locator(".log-about")).to_contain_text(f"task {task}")
        assert newest.locator("dt").count() == 0
        newest.get_by_text("Details").click()
        expect(newest.locator("dt")).to_have_text(["error_type", "stack_trace", "files"])
        assert newest.locator("pre").first.inner_text() == "line one\nline two"

    def test_by_severity_and_by_task(self, visit: Visits, relay: RunningRelay, shop: Shop):
        first, second = shop.paid("DH1", 2)
        order = shop.order("DH1").id
        shop.record(order, "slow", Severity.WARNING, task_id=first)
        shop.record(order, "broken", Severity.ERROR, task_id=second)
        page = visit(relay, f"#/orders/{order}")
        expect(page.locator(".log-type").first).to_have_text("broken")

        page.get_by_label("Severity").select_option("Warnings and errors")
        expect(page.locator(".log-type")).to_have_text(["broken", "slow"])
        page.get_by_label("Severity").select_option("Errors")
        expect(page.locator(".log-type")).to_have_text(["broken"])
        page.get_by_label("Severity").select_option("All events")
        page.get_by_label(f"Events of task {first}").click()
        expect(page.locator(".log-type")).to_have_text(["slow", "task created"])

    def test_a_button_loads_older_events(self, visit: Visits, relay: RunningRelay, shop: Shop):
        shop.paid("DH1")
        order = shop.order("DH1").id
        for number in range(60):
            shop.record(order, f"note_{number}")
        page = visit(relay, f"#/orders/{order}")
        expect(page.locator(".log-event")).to_have_count(50)

        page.get_by_role("button", name="Load older events").click()

        expect(page.locator(".log-event")).to_have_count(62)
        expect(page.get_by_role("button", name="Load older events")).to_be_hidden()
        assert events(page)[:2] == ["note 59", "note 58"]

    def test_open_details_stay_open_when_a_new_event_is_shown(
        self, visit: Visits, relay: RunningRelay, shop: Shop
    ):
        shop.paid("DH1")
        order = shop.order("DH1").id
        page = visit(relay, f"#/orders/{order}")
        payment = page.locator(".log-event", has_text="payment received")
        payment.get_by_text("Details").click()
        expect(payment.locator("dt", has_text="amount")).to_be_visible()

        shop.record(order, "note")
        page.keyboard.press("r")

        expect(page.locator(".log-type").first).to_have_text("note")
        expect(payment.locator("dt", has_text="amount")).to_be_visible()


class TestErrors:
    def test_failed_tasks_are_grouped_by_fingerprint(self, visit: Visits, relay: RunningRelay, shop: Shop):
        for number in range(3):
            [task] = shop.paid(f"DH{number}")
            shop.fail(task, ErrorType.TIMEOUT, "no byte", fingerprint="abc" if number else "xyz")
        shop.execute("UPDATE download_tasks SET managed = 0 WHERE error_fingerprint = 'xyz'")
        page = visit(relay)

        page.get_by_role("link", name="Errors").click()

        groups = page.locator(".error-group")
        expect(groups.locator(".error-count")).to_have_text(["2", "1"])
        expect(groups.first).to_contain_text("TIMEOUT")
        expect(groups.first.locator(".error-message")).to_have_text("no byte")
        expect(groups.first.locator("code").last).to_have_text("orderctl tasks retry --fingerprint abc")
        expect(groups.last).to_contain_text("orderctl tasks retry --fingerprint xyz --take")
        groups.first.get_by_role("link", name="DH2").click()
        expect(page.locator(".panel-title")).to_have_text("DH2")

    def test_an_error_without_a_fingerprint_offers_no_command_for_it(
        self, visit: Visits, relay: RunningRelay, shop: Shop
    ):
        """The shop's own workers write none."""
        shop.paid("DH1")
        shop.execute("UPDATE download_tasks SET status='failed', error_log='broken'")
        page = visit(relay, "#/errors")

        expect(page.locator(".error-group")).to_contain_text("broken")
        expect(page.locator(".error-group")).not_to_contain_text("--fingerprint")

    def test_an_empty_list(self, visit: Visits, relay: RunningRelay):
        expect(visit(relay, "#/errors").locator("#errors-note")).to_have_text("No failed tasks.")
