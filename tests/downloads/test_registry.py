"""Handlers from installed packages."""

from importlib.metadata import EntryPoint

import pytest

from orderctl.downloads import registry
from orderctl.downloads.http import HttpHandler
from orderctl.errors import ExitStatus, Misconfigured


def test_our_own_handler_is_installed():
    assert isinstance(registry.load("http"), HttpHandler)


def test_an_unknown_handler_is_refused_with_the_known_ones():
    with pytest.raises(
        Misconfigured, match=r"worker\.handler: handler 'ftp' not found; installed: .*http"
    ) as caught:
        registry.load("ftp")

    assert caught.value.exit_status is ExitStatus.CONFIGURATION


@pytest.fixture
def offered(monkeypatch):
    """Entry points of packages that are not installed."""
    entries = []
    monkeypatch.setattr(registry, "entry_points", lambda group: [e for e in entries if e.group == group])
    return entries


def test_a_handler_that_cannot_be_imported_is_misconfigured(offered):
    offered.append(EntryPoint("mine", "no_such_package:Handler", registry.GROUP))

    with pytest.raises(Misconfigured, match=r"mine .*No module named 'no_such_package'"):
        registry.load("mine")


def test_one_name_for_two_handlers_is_misconfigured(offered):
    offered.append(EntryPoint("mine", "a:Handler", registry.GROUP))
    offered.append(EntryPoint("mine", "b:Handler", registry.GROUP))

    with pytest.raises(Misconfigured, match="a:Handler, b:Handler"):
        registry.load("mine")


def test_one_handler_that_is_announced_twice_is_one(offered):
    for _ in range(2):
        offered.append(EntryPoint("mine", "orderctl.downloads.http:HttpHandler", registry.GROUP))

    assert isinstance(registry.load("mine"), HttpHandler)
