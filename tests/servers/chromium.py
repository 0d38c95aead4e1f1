"""Chromium, controlled by playwright: the distribution's, not the browsers that playwright downloads."""

import subprocess
from pathlib import Path

from tests.servers.availability import UnavailableError
from tests.servers.programs import find

OTHER_NAMES = ("chromium-browser", "google-chrome-stable", "google-chrome")
#: No sandbox, because tests may run as root; no connections except to the page's server.
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
        UnavailableError: Neither is installed, or playwright is not installed or cannot run.
    """
    try:
        from playwright._impl._driver import compute_driver_executable
    except ImportError as error:
        raise UnavailableError(f"playwright cannot be imported: {error}") from error
    node, _ = compute_driver_executable()
    tried = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    if tried.returncode:
        raise UnavailableError(
            f"playwright does not run: sudo apt install libatomic1 ({tried.stderr.strip()})"
        )
    return find("chromium", *OTHER_NAMES)
