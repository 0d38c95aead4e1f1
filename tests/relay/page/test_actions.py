"""Retry and cancel from the page."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from orderctl.relay.tokens import mint
from orderctl.states import ErrorType
from tests.relay.conftest import SECRET, RunningRelay, StartRelay
from tests.relay.page.conftest import Visits, expect, wait_for_subscriptions
from tests.shop import Shop

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def failed(shop: Shop) -> int:
    """A failed task of a failed order."""
    [task] = shop.paid("DH1")
    shop.fail(task, ErrorType.TIMEOUT, "no byte")
    return task


@pytest.fixture
def relay(start: StartRelay) -> RunningRelay:
    return start("--allow-actions")


def opened(visit: Visits, relay: RunningRelay, shop: Shop) -> Page:
    page = visit(relay, f"#/orders/{shop.order('DH1').id}")
    wait_for_subscriptions(relay, page, 2)
    return page


def test_buttons_are_shown_only_when_actions_are_allowed(
    visit: Visits, start: StartRelay, shop: Shop, failed: int
):
    page = opened(visit, start(), shop)

    expect(page.locator(".task")).to_be_visible()
    expect(page.locator(".action")).to_have_count(0)


#: Counts in ``window.hidden`` how often the task's error disappears.
COUNT_HIDDEN = """error => {
    window.hidden = 0;
    new MutationObserver(() => { window.hidden += error.hidden; }).observe(error, { attributes: true });
}"""


def test_a_retry_is_confirmed_and_its_result_is_shown(
    visit: Visits, relay: RunningRelay, shop: Shop, failed: int
):
    page = opened(visit, relay, shop)
    page.locator(".task-error").evaluate(COUNT_HIDDEN)

    page.get_by_role("button", name=f"Retry task {failed}").click()
    dialog = page.get_by_role("alertdialog")
    expect(dialog).to_contain_text(f"Task {failed}")
    assert shop.task(failed).status == "failed"
    dialog.get_by_role("button", name="Retry").click()

    expect(page.locator("#notice")).to_have_text("Task queued again.")
    expect(page.locator(".task .badge")).to_have_text("pending")
    expect(page.locator(".log-type").nth(1)).to_have_text("task retried")
    expect(page.locator(".row .badge")).not_to_have_text("failed")
    assert shop.task(failed).status == "pending"
    expect(page.locator(".action-retry")).to_have_count(0)
    expect(page.locator(".task-error")).to_be_visible()  # of the last attempt, as the database has it
    assert page.evaluate("window.hidden") == 0
    expect(page.locator(".action-cancel")).to_have_count(1)


@pytest.mark.parametrize("way", ["button", "key"])
def test_going_back_changes_nothing(visit: Visits, relay: RunningRelay, shop: Shop, failed: int, way: str):
    page = opened(visit, relay, shop)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method))

    page.get_by_role("button", name=f"Cancel task {failed}").click()
    if way == "button":
        page.get_by_role("button", name="Go back").click()
    else:
        page.keyboard.press("Escape")

    expect(page.get_by_role("alertdialog")).to_have_count(0)
    page.wait_for_timeout(200)
    assert "POST" not in asked
    assert shop.task(failed).status == "failed"


def test_a_refused_action_is_reported(visit: Visits, relay: RunningRelay, shop: Shop, failed: int):
    page = opened(visit, relay, shop)
    shop.execute("UPDATE download_tasks SET status='completed'")

    page.get_by_role("button", name=f"Retry task {failed}").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Retry").click()

    expect(page.locator("#notice")).to_contain_text("The task was not retried: task")


def test_a_task_of_the_shop_s_own_workers_is_handed_over(
    visit: Visits, relay: RunningRelay, shop: Shop, failed: int
):
    shop.execute("UPDATE download_tasks SET managed = 0")
    page = opened(visit, relay, shop)

    page.get_by_role("button", name=f"Retry task {failed}").click()
    dialog = page.get_by_role("alertdialog")
    expect(dialog).to_contain_text("from now on orderctl's workers run it")
    dialog.get_by_role("button", name="Retry").click()

    expect(page.locator("#notice")).to_have_text("Task queued again.")
    assert shop.task(failed).managed


def test_an_action_that_another_admin_carried_out_before_is_reported(
    visit: Visits, relay: RunningRelay, shop: Shop, failed: int
):
    page = opened(visit, relay, shop)
    page.get_by_role("button", name=f"Retry task {failed}").click()
    relay.ask(f"/api/admin/tasks/{failed}/retry", "POST", X_Orderctl_Action="1")

    page.get_by_role("alertdialog").get_by_role("button", name="Retry").click()

    said = "Nothing was changed: the task is already waiting, retried by local."
    expect(page.locator("#notice")).to_have_text(said)


def test_the_audit_log_names_the_subject_of_the_token(
    visit: Visits, start: StartRelay, shop: Shop, failed: int
):
    token = mint(SECRET, scopes=["admin"], subject="linh", issued=int(time.time()), ttl=600)
    relay = start("--allow-actions", relay_token_secret=SECRET)
    page = visit.open(relay, f"#/orders/{shop.order('DH1').id}")
    page.get_by_label("Token", exact=True).fill(token)
    page.get_by_role("button", name="Continue").click()

    page.get_by_role("button", name=f"Cancel task {failed}").click()
    page.get_by_role("button", name="Cancel task", exact=True).click()

    expect(page.locator(".task .badge")).to_have_text("cancelled")
    expect(page.locator(".log-event", has_text="task cancelled")).to_contain_text("by linh")
