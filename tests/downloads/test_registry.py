"""Handlers from installed packages. What may be wrong with a package: tests/test_extensions.py."""

import pytest

from orderctl.downloads import registry
from orderctl.downloads.http import HttpHandler
from orderctl.errors import Misconfigured


def test_our_own_handler_is_installed():
    assert isinstance(registry.load("http"), HttpHandler)


def test_an_unknown_handler_is_refused_with_its_setting():
    with pytest.raises(Misconfigured, match=r"worker\.handler: handler 'ftp' not found; installed: .*http"):
        registry.load("ftp")
