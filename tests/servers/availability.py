"""What becomes of a test whose server cannot be had."""

import os
from collections.abc import Mapping
from typing import NoReturn

import pytest

#: What the tests were started with, before their isolation changes it.
ENVIRONMENT: Mapping[str, str] = dict(os.environ)


class UnavailableError(Exception):
    """A server's program is not on this machine and cannot be fetched; the text says why."""


def give_up(reason: str, environment: Mapping[str, str] = ENVIRONMENT) -> NoReturn:
    """Skip the running test, or fail it where every server has to be there.

    Args:
        reason: Why the server cannot be had.
        environment: Decides by ``CI``: a build that skips silently proves nothing.
    """
    if environment.get("CI", "").lower() in ("true", "1"):
        pytest.fail(f"{reason} (not skipped, because CI is set)", pytrace=False)
    pytest.skip(reason)
