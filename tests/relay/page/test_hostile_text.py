"""Hostile text in every field of an order: it stays text."""

from __future__ import annotations

import pytest
import redis

from orderctl import publications
from orderctl.channels import task_status
from orderctl.states import Severity
from tests.relay.conftest import RunningRelay
from tests.relay.page.conftest import PHONE, Visits, expect, overflow, wait_for_subscriptions
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")
HOSTILE = "<img src=x onerror='window.harmed=1'><script>window.harmed=1</script>"
TURNED = "\u202egpj.exe\x1b[31m"


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
