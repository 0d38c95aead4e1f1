"""The dashboard in a real Chromium, served by the real relay over a real database and Redis."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import redis

from orderctl import clock, publications
from orderctl.channels import task_progress
from orderctl.messages import TaskProgress
from tests.relay.conftest import RunningRelay, StartRelay
from tests.servers.availability import needed
from tests.servers.chromium import ARGUMENTS, find_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

#: Longest wait for an expected change of the page, in ms.
SOON = 60_000
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}
#: Removes the page's timer of 15 s, which would hide that a live message was lost.
NO_POLLING = "const every = setInterval; window.setInterval = (act, ms) => ms < 15_000 && every(act, ms);"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium. Started for each module, because playwright's event loop disturbs other tests."""
    with needed():
        program = find_chromium()
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=SOON)

    env = os.environ | {"HOME": str(tmp_path_factory.mktemp("home"))}
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=ARGUMENTS, env=env)
        yield running
        running.close()


class Visits:
    """Opens the page, and collects its errors and warnings."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.problems: list[str] = []

    def __call__(self, relay: RunningRelay, where: str = "", **options: Any) -> Page:
        """``visit(relay, "#/orders/1", viewport=..., color_scheme=...)``: wait until the page is live."""
        page = self.open(relay, where, **options)
        page.locator("#connection[data-state=live]").wait_for()
        return page

    def open(self, relay: RunningRelay, where: str = "", **options: Any) -> Page:
        """Open the page without waiting until it is live; its timer is removed, except with ``polling=True``."""
        polling = options.pop("polling", False)
        script = options.pop("script", None)
        context = self._browser.new_context(**({"viewport": DESKTOP, "locale": "en-GB"} | options))
        context.set_default_timeout(SOON)
        self._contexts.append(context)
        page = context.new_page()
        if not polling:
            page.add_init_script(NO_POLLING)
        if script:
            page.add_init_script(script)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", self._listen)
        page.goto(f"{relay.url}/{where}")
        return page

    def _listen(self, message: Any) -> None:
        # Chromium logs each answer above 399 and each refused connection itself.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.problems.append(message.text)

    def close(self) -> None:
        for context in self._contexts:
            context.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visits]:
    """Opens the page. A failed script and a violation of the CSP fail the test."""
    visits = Visits(browser)
    yield visits
    visits.close()
    assert [text for text in visits.problems if "WebSocket connection to" not in text] == []


@pytest.fixture
def start(start_relay: StartRelay, migrated_url: str) -> StartRelay:
    """``start(*arguments, **settings)`` starts a relay that reads the shop's database."""

    def start(*arguments: str, **settings: str) -> RunningRelay:
        return start_relay(*arguments, **({"database_url": migrated_url} | settings))

    return start


@pytest.fixture
def relay(start: StartRelay) -> RunningRelay:
    """A relay on loopback without a token: all clients are admins, and actions are off."""
    return start()


Publish = Callable[..., None]


@pytest.fixture
def publish(store: redis.Redis) -> Publish:
    """``publish(task_id, percent, file="01.mp4", speed=1e6)``: publish progress as a worker does."""
    count = iter(range(1, 10_000))

    def publish(task_id: int, percent: float, file: str = "01.mp4", speed: float | None = 1e6) -> None:
        seq = next(count)
        data = TaskProgress(task_id, percent, file, speed, clock.milliseconds(), 1, seq)
        publications.publish(store, task_progress(task_id), data.data())

    return publish


def expect(what: Page | Locator) -> Any:
    """Playwright's ``expect``, imported late, so that the tests are skipped where it is missing."""
    from playwright.sync_api import expect

    return expect(what)


def wait_for_subscriptions(relay: RunningRelay, page: Page, subscriptions: int) -> None:
    """Wait until the relay has this number of subscriptions, so that the page receives live messages."""
    for _ in range(SOON // 50):
        if relay.metric("subscriptions") == subscriptions:
            return
        page.wait_for_timeout(50)
    pytest.fail(f"{relay.metric('subscriptions')} subscriptions instead of {subscriptions}")


def overflow(page: Page) -> int:
    """Return by how many pixels the page or the panel is wider than the window."""
    return page.evaluate(
        "Math.max(...[document.documentElement, document.getElementById('panel')]"
        ".map((one) => one.scrollWidth)) - innerWidth"
    )
