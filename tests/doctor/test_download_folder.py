"""A folder of downloads that cannot take files, or soon cannot, is named; nothing is written into it."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from orderctl.doctor import download_folder
from orderctl.doctor.checks import Check, Verdict
from orderctl.doctor.download_folder import Look, Room
from tests.doctor.around import look, named, unwell

ROOM = Room("/srv", "ext4", 50 * 2**30, 100 * 2**30, 0.9, read_only=False)
NOTE, WARNING, FAULT = Verdict.NOTE, Verdict.WARNING, Verdict.FAULT
MIB = 2**20


def examined(folder: Path, **more: str) -> list[Check]:
    return look(download_folder.examine, ahead=download_folder.look, download_directory=str(folder), **more)


def of(room: Room, **more: str) -> list[Check]:
    found = Look(Path("/srv/d"), Path("/srv/d"), room, writable=True)
    return look(download_folder.examine, ahead=lambda _: found, download_directory="/srv/d", **more)


def test_the_folder_is_looked_at_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    checks = examined(tmp_path)

    assert named(checks, "folder").verdict is Verdict.WELL
    assert " free on " in named(checks, "free-space").text
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_is_named_only_where_it_was_chosen(tmp_path: Path) -> None:
    missing = named(examined(tmp_path / "it's" / "not there"), "folder")

    assert missing.verdict is WARNING
    assert missing.repair == f"""mkdir -p '{tmp_path}/it'"'"'s/not there'"""
    default = look(download_folder.examine, ahead=download_folder.look, state_dir=str(tmp_path))
    assert named(default, "folder").verdict is Verdict.WELL


def test_a_file_in_the_way_and_a_folder_without_rights_are_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    assert "is not a folder" in named(examined(tmp_path / "file"), "folder").text

    monkeypatch.setattr(os, "access", lambda *_: False)  # tests may run as root
    check = named(examined(tmp_path), "folder")
    assert (check.verdict, check.repair) == (FAULT, f'sudo install -d -o "$USER" {tmp_path}')


#: What a file system has, and which checks are not well.
ROOMS: dict[str, tuple[Room, dict[str, Verdict]]] = {
    "well": (ROOM, {}),
    "unknown": (replace(ROOM, free=0, size=0, files=None), {}),
    "small": (replace(ROOM, free=2 * 2**30, size=20 * 2**30), {}),
    "short": (replace(ROOM, free=4 * 2**30), {"free-space": WARNING}),
    "full": (replace(ROOM, free=50 * MIB), {"free-space": FAULT}),
    "read-only": (replace(ROOM, read_only=True), {"free-space": FAULT}),
    "files": (replace(ROOM, files=0.001), {"free-files": WARNING}),
    "memory": (replace(ROOM, kind="tmpfs"), {"file-system": WARNING}),
}


@pytest.mark.parametrize("name", ROOMS)
def test_room_that_is_short_is_named(name: str) -> None:
    room, expected = ROOMS[name]

    assert unwell(of(room)) == expected


def test_old_parts_and_private_hosts_are_noted(tmp_path: Path) -> None:
    old = tmp_path / "DH1" / ".a.zip.part"
    old.parent.mkdir()
    for path in (old, old.with_name(".b.zip.part-2"), old.with_name("c.zip")):
        path.write_bytes(b"x" * 5000)
    os.utime(old, (time.time() - 10 * 86_400,) * 2)

    checks = examined(tmp_path, download_allow_private_hosts="true")

    assert named(checks, "leftovers").text.startswith("1 part of downloads untouched")
    assert named(checks, "private-hosts").verdict is NOTE


def test_a_file_system_that_hangs_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(download_folder, "_look", lambda _: time.sleep(60))

    [check] = look(
        download_folder.examine, ahead=download_folder.look, download_directory=str(tmp_path), patience=0.05
    )

    assert check.verdict is FAULT
    assert "does not answer within 0.05 s" in check.text


def test_another_handlers_files_are_its_own() -> None:
    [check] = of(ROOM, worker_handler="rclone")

    assert check.verdict is Verdict.SKIPPED
