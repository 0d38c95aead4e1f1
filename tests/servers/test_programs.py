import subprocess
from pathlib import Path

import pytest

from tests.servers import debs, programs
from tests.servers.availability import UnavailableError

README = Path(__file__).parents[2] / "README.md"


def test_readme_names_every_package_that_makes_the_run_whole() -> None:
    packages = sorted(set(programs.packages().values()))

    assert f"    sudo apt install {' '.join(packages)}\n" in README.read_text()


def test_missing_program_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "search_path", lambda: "/nonexistent")

    with pytest.raises(UnavailableError, match=r"^no node: sudo apt install nodejs$"):
        programs.find("node", "nodejs")


def test_program_is_found_beside_the_path_of_an_ordinary_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "SERVER_PATH", str(tmp_path))
    monkeypatch.setattr(debs, "fetch", lambda *_: pytest.fail("fetched"))
    (tmp_path / "some-server").touch(mode=0o755)

    assert programs.find_or_fetch("some-server", "some-package") == tmp_path / "some-server"


def test_program_of_a_package_runs_with_the_libraries_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "usr/sbin/server").touch()
    (tmp_path / "lib/some-linux-gnu").mkdir(parents=True)
    loader = tmp_path / "lib/ld-linux-some.so.2"
    loader.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    loader.chmod(0o755)
    monkeypatch.setattr(debs, "fetch", lambda *_: tmp_path)

    script = debs.program("some-package", "server")

    assert subprocess.check_output([script, "a b"], text=True).splitlines() == [
        "--library-path",
        str(tmp_path / "lib/some-linux-gnu"),
        str(tmp_path / "usr/sbin/server"),
        "a b",
    ]


def test_package_without_the_program_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debs, "fetch", lambda *_: tmp_path)

    with pytest.raises(UnavailableError, match="no server"):
        debs.program("some-package", "server")
