"""The whole program on machines that are set up in odd ways: folders, homes, locales."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Program

REFUSED = "http://127.0.0.1:9/course"  # an address of a private network: the attempt ends at once


@pytest.fixture
def odd_dir(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder whose name has what separates words, fields and parts of URLs."""
    folder = home / "a b=c'd\"e%41#f?g:Đ"
    monkeypatch.setenv("ORDERCTL_STATE_DIR", str(folder))
    return folder


def test_a_state_folder_may_have_any_name(odd_dir: Path, inside: Program, orderctl: Program):
    """The unix socket's path is in the answers of Redis, the file's in the URL of the database."""
    assert inside("migrate", "up").status == 0
    added = inside("orders", "add", "--code", "A", "--email", "a@b.vn", "--amount", "1", "--course", REFUSED)
    assert (added.status, inside("orders", "pay", "A", "--amount", "1").status) == (0, 0)

    ended = orderctl("worker", "start", "--burst")

    assert ended.status == 0, ended.err
    assert json.loads(inside("orders", "show", "A", "-o", "json").out)["order_status"] == "failed"
    assert str(odd_dir) in inside("embedded", "status").out
    assert inside("tail", "order", "A").status == 0
    assert (odd_dir / "orderctl.db").exists()
    assert inside("embedded", "stop").status == 0
