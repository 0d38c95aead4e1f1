"""What is said of other programs' jobs: nothing of them is run, and no bytes are in the way."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.worker import foreign_jobs


@given(st.binary(max_size=40))
def test_any_id_can_be_written_and_read(raw: bytes):
    spelled = foreign_jobs.spell(raw)

    assert foreign_jobs.unspell(spelled) == raw
    assert spelled.isprintable()


def test_an_ordinary_id_is_written_as_it_is():
    assert foreign_jobs.spell("5d3c-đơn".encode()) == "5d3c-đơn"
    assert foreign_jobs.spell(b"\xff\x1b[2J") == "\\xff\\x1b[2J"


class Trap:
    """A pickle of it exits the program that unpacks it."""

    def __reduce__(self):
        return exit, (1,)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b'["os.system", null, ["secret"], {}]', ("json", "os.system")),
        (b"[]", ("json", None)),
        (b"[1]", ("json", None)),
        (b"{}", ("json", None)),
        (b"[" * 60_000, ("unknown", None)),
        (b"", ("unknown", None)),
        (pickle.dumps(("os.system", None, ("secret",), {})), ("pickle", "os.system")),
        (pickle.dumps(("os.system", None, (Trap(),), {})), ("pickle", "os.system")),
        (pickle.dumps(("os.system", None, ("x" * 90_000,), {}))[:65_536], ("pickle", "os.system")),
        (b"\x80\x04junk", ("pickle", None)),
        (b"\x80", ("pickle", None)),
        (b"\x80\x04\x8e" + b"\xff" * 8, ("pickle", None)),
    ],
)
def test_the_function_is_read_without_unpacking(written: bytes, read: tuple[str, str | None]):
    assert foreign_jobs._read_call(written) == read
