"""What becomes of a test whose server or program cannot be had."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from tests.servers.reaper import MARK

#: What the tests were started with, before their isolation changes it.
ENVIRONMENT: Mapping[str, str] = dict(os.environ)


def outer_environment() -> dict[str, str]:
    """The environment for a program that works for the tests as a whole: as they were started, under their mark."""
    return {**ENVIRONMENT, MARK: os.environ.get(MARK, "")}


class UnavailableError(Exception):
    """A program is not on this machine and cannot be fetched; the text says why, and how to get it."""


#: How a test begins its reason that only root can run; it is skipped for others, also where nothing else is.
NEEDS_ROOT = "needs root"


@contextmanager
def needed() -> Iterator[None]:
    """Skip the running test where what the block looks for cannot be had."""
    try:
        yield
    except UnavailableError as error:
        pytest.skip(str(error))
