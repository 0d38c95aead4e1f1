"""Chromium, driven by playwright. Its own browsers are not fetched: the distribution's is taken."""

from pathlib import Path

from tests.servers.availability import UnavailableError
from tests.servers.programs import find

OTHER_NAMES = ("chromium-browser", "google-chrome-stable", "google-chrome")
#: No sandbox, since tests may run as root; nothing that talks to anybody but the page's server.
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> Path:
    """Find Chromium or Chrome.

    Raises:
        UnavailableError: There is none, or playwright is not installed.
    """
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError as error:
        raise UnavailableError(f"playwright cannot be imported: {error}") from error
    return find("chromium", *OTHER_NAMES)
