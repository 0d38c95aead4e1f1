"""What becomes of a test whose server or program cannot be had."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

#: What the tests were started with, before their isolation changes it.
ENVIRONMENT: Mapping[str, str] = dict(os.environ)


class UnavailableError(Exception):
    """A program is not on this machine and cannot be fetched; the text says why, and how to get it."""


@contextmanager
def needed() -> Iterator[None]:
    """Skip the running test where what the block looks for cannot be had."""
    try:
        yield
    except UnavailableError as error:
        pytest.skip(str(error))
