"""What happens to a test whose server or program is missing."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from tests.servers.reaper import MARK

#: The environment with which the tests were started, before the tests change it.
ENVIRONMENT: Mapping[str, str] = dict(os.environ)


def outer_environment() -> dict[str, str]:
    """Return the tests' first environment, with their mark, for a program that serves all tests."""
    return {**ENVIRONMENT, MARK: os.environ.get(MARK, "")}


class UnavailableError(Exception):
    """A program is missing and cannot be downloaded; the text says why, and how to get it."""


#: The beginning of the reason of a test that needs root; only such a test may be skipped with CI=true.
NEEDS_ROOT = "needs root"


@contextmanager
def needed() -> Iterator[None]:
    """Skip the running test if the block cannot get what it needs."""
    try:
        yield
    except UnavailableError as error:
        pytest.skip(str(error))
