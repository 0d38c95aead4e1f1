import subprocess
from pathlib import Path

import pytest

from tests.servers import debs, programs
from tests.servers.aptsources import Mirror, find_mirror, read_sources
from tests.servers.availability import UnavailableError, needed

DEB822 = """\
Types: deb
# a comment
URIs: http://security.example.org/debian-security
Suites: bookworm-security
Components: main

Types: deb deb-src
URIs: http://mirror.example.org/debian http://other.example.org/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
"""

LINES = """\
# deb http://old.example.org/debian bookworm main
deb-src http://mirror.example.org/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/a.gpg] http://mirror.example.org/debian bookworm main contrib # ours
"""


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    (tmp_path / "apt/sources.list.d").mkdir(parents=True)
    (tmp_path / "os-release").write_text('ID=debian\nVERSION_CODENAME="bookworm"\n')
    return tmp_path


def test_mirror_is_found_in_a_deb822_file(etc: Path) -> None:
    (etc / "apt/sources.list.d/debian.sources").write_text(DEB822)

    mirror = find_mirror("unstable", etc)

    assert (mirror.uri, mirror.suites) == ("http://mirror.example.org/debian", ("unstable",))
    assert mirror.signed_by.startswith("-----BEGIN")
    assert mirror.stanza().endswith("Signed-By: -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n")


def test_mirror_is_found_in_a_one_line_file(etc: Path) -> None:
    (etc / "apt/sources.list").write_text(LINES)

    expected = Mirror(
        "http://mirror.example.org/debian", ("bookworm",), ("main",), "/usr/share/keyrings/a.gpg"
    )

    assert find_mirror(None, etc) == expected


def test_disabled_and_foreign_files_are_not_read(etc: Path) -> None:
    (etc / "apt/sources.list.d/off.sources").write_text("Enabled: no\n" + DEB822.partition("\n\n")[2])
    (etc / "apt/sources.list.d/old.list.save").write_text(LINES)

    assert list(read_sources(etc / "apt")) == []


def test_another_distribution_is_a_reason(etc: Path) -> None:
    (etc / "os-release").write_text("ID=fedora\n")

    with pytest.raises(UnavailableError, match="fedora"):
        find_mirror(None, etc)


def test_no_mirror_is_a_reason(etc: Path) -> None:
    with pytest.raises(UnavailableError, match="no mirror"):
        find_mirror(None, etc)


def test_fetch_that_fails_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Mirror(f"file:{tmp_path}/nothing", ("unstable",), ("main",))
    monkeypatch.setattr(debs, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(debs, "find_mirror", lambda _: nowhere)

    with pytest.raises(UnavailableError, match="apt-get"):
        debs.fetch("mysql-server-core", "unstable")

    assert not (tmp_path / "cache/mysql-server-core-unstable").exists()


def test_mirror_that_is_not_refreshed_any_more_will_do(tmp_path: Path) -> None:
    config = debs.configure(Mirror("http://mirror.example.org/debian", ("unstable",), ("main",)), tmp_path)

    with needed():
        apt_config = programs.find("apt-config")
    dump = subprocess.check_output([apt_config, "-c", config, "dump"], text=True).splitlines()

    assert 'Acquire::Check-Valid-Until "false";' in dump
    assert f'Dir::State::lists "{tmp_path}/lists";' in dump


def test_fetched_package_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debs, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(debs, "find_mirror", lambda _: pytest.fail("fetched again"))
    (tmp_path / "hello-own").mkdir()

    assert debs.fetch("hello") == tmp_path / "hello-own"


def test_waiting_for_another_process_ends_with_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "hello.lock"

    with debs.locked(path, 1), pytest.raises(UnavailableError, match="another process"), debs.locked(path, 0):
        pass
