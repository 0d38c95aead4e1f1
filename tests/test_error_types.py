"""The kinds of failures. All exceptions with their types are in tests/test_failures.py."""

import subprocess
import sys

import pytest

from orderctl import error_types
from orderctl.errors import OrderctlError


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("No space left on device", "DISK_SPACE"),
        ("[Errno 28] disk quota exceeded, permission denied", "DISK_SPACE"),
        ("invalid token", "AUTHENTICATION"),
        ("Timeout of the connection", "TIMEOUT"),
        ("connection reset by peer", "NETWORK"),
        ("permission denied", "PERMISSION"),
        ("it broke", "UNKNOWN"),
        ("", "UNKNOWN"),
        (None, "UNKNOWN"),
        (b"network is down", "NETWORK"),
        ({"error": "timeout"}, "TIMEOUT"),
        (TimeoutError(), "TIMEOUT"),
    ],
)
def test_a_text_has_a_type_as_an_exception_has(reason, expected):
    assert error_types.classify(reason) == expected


def test_it_loads_neither_the_database_nor_redis():
    probe = "import sys, orderctl.error_types; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout

    assert not {"sqlalchemy", "redis"} & set(loaded.split())


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OrderctlError("it broke", hint="turn it off and on"), "it broke; turn it off and on"),
        (OrderctlError("it broke"), "it broke"),
        (ValueError("it broke"), "it broke"),
    ],
)
def test_an_explanation_says_what_to_do(error, text):
    assert error_types.explain(error) == text


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("UNKNOWN", "it broke", "UNKNOWN: it broke"),
        ("UNKNOWN", " UNKNOWN: UNKNOWN:  it broke\n", "UNKNOWN: it broke"),
        ("UNKNOWN", "UNKNOWN", "UNKNOWN"),
        ("UNKNOWN", None, "UNKNOWN"),
        ("OWN (x)", "OWN (x): it broke", "OWN (x): it broke"),
        ("NETWORK", "TIMEOUT: 30 s", "NETWORK: TIMEOUT: 30 s"),
        ("NETWORK", "NETWORKS: all gone", "NETWORK: NETWORKS: all gone"),
        (None, "NETWORK: gone", "NETWORK: gone"),
        (None, None, ""),
    ],
)
def test_the_type_of_an_error_is_said_once(kind, text, said):
    assert error_types.typed(kind, text) == said


def test_what_kind_it_is_can_be_left_out():
    assert error_types.untyped("UNKNOWN: UNKNOWN: it broke") == "it broke"
    assert error_types.untyped("NETWORK") == ""
