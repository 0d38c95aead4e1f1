"""Photographs the dashboard, with an order that is being carried out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.servers.chromium import ARGUMENTS, find_chromium

_SIZE = {"width": 1360, "height": 850}


#: Replaces texts of the page, which does not change any more before the picture is taken.
_REPLACE = """pairs => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode())
        for (const [old, replaced] of Object.entries(pairs))
            walker.currentNode.data = walker.currentNode.data.replaceAll(old, replaced);
}"""


def photograph(url: str, code: str, target: Path, pairs: Mapping[str, str]) -> None:
    """Write a picture of the page as a PNG.

    Args:
        url: Of the relay.
        code: Of the order that is opened.
        target: The file.
        pairs: Texts, and what stands for them.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        page = browser.new_context(viewport=_SIZE, locale="en-GB", color_scheme="light").new_page()
        page.goto(url)
        page.locator("#connection[data-state=live]").wait_for()
        page.locator(".row", has_text=code).click()
        page.get_by_text("download started").first.wait_for()
        page.evaluate(_REPLACE, pairs)
        page.screenshot(path=target)
        browser.close()
