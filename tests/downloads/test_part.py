"""Part files: which attempt holds one, and what an ended or dead attempt leaves to the next."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orderctl.downloads import part
from orderctl.downloads.errors import ConnectionBroken, DownloadError
from orderctl.downloads.http import HttpHandler
from orderctl.errors import LeaseLost
from orderctl.worker.gains import WORTH_IT, Gains
from tests.downloads.conftest import one_file
from tests.servers.scripted import RESET, answer, versioned
from tests.waiting import eventually


def test_a_part_that_is_held_is_left_alone(download, course_server):
    url = course_server.add("/a.bin", 1_000_000)
    course_server.hold("/a.bin", at=500_000)
    held = []

    def successor():
        """The first attempt was considered dead; the second begins while the first holds its part file."""
        parts = list(download.directory.rglob(".a.bin.part"))
        if held or not parts or not parts[0].stat().st_size:
            return
        held.append(parts[0].read_bytes())
        course_server.release("/a.bin")
        download.run(url, attempt=2)
        assert parts[0].read_bytes() == held[0]
        raise LeaseLost

    download.checks = successor

    with pytest.raises(LeaseLost):
        download.run(url, attempt=1)

    assert download.files() == {"a.bin": course_server.content("/a.bin")}
    assert download.hidden() == {".a.bin.etag"}  # the part had no record any more, so it was of no use


def test_nothing_appears_once_the_lease_is_lost(download, course_server):
    url = course_server.add("/a.bin", 100_000)

    def check():
        parts = list(download.directory.rglob(".a.bin.part"))
        if parts and parts[0].stat().st_size == 100_000:
            raise LeaseLost

    download.checks = check

    with pytest.raises(LeaseLost):
        download.run(url)

    assert download.files() == {}


def test_nothing_is_written_once_the_lease_is_lost(download, scripted):
    lost = []

    def script(_asked):
        lost.append(True)
        return answer(b"x" * 100_000)

    server = scripted(script)
    context = download.context(f"{server.url}/a.bin")

    def check():
        if lost:
            raise LeaseLost

    download.checks = check

    with pytest.raises(LeaseLost):
        HttpHandler(reserve=0).download(context, one_file(context.course_url))

    assert [path.stat().st_size for path in download.directory.rglob("*a.bin*")] in ([], [0])


def test_a_part_that_became_the_file_while_we_waited_for_it_is_left_alone(
    download, course_server, monkeypatch
):
    url = course_server.add("/a.bin", b"right")
    download.folder.mkdir(parents=True)
    (download.folder / ".a.bin.part").write_bytes(b"of another")
    lock = fcntl.flock

    def finish_first(descriptor, operation):
        """Let the other worker finish between this worker's open and its lock."""
        if (download.folder / ".a.bin.part").exists() and not (download.folder / "other").exists():
            (download.folder / ".a.bin.part").rename(download.folder / "other")
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", finish_first)

    download.run(url)

    assert download.files() == {"a.bin": b"right", "other": b"of another"}


def test_a_part_of_another_boot_is_resumed_only_against_a_checksum(download, course_server, monkeypatch):
    for checksums, status in ((False, 200), (True, 206)):
        monkeypatch.undo()
        path = f"/{checksums}"
        url = course_server.add_course(path, {"a.bin": 500_000}, checksums=checksums)
        interrupt(download, course_server, url, f"{path}/a.bin")
        monkeypatch.setattr(part, "boot_id", lambda: "another")

        download.run(url, attempt=2)

        assert course_server.requests[-1].status == status
        assert download.files() == {"a.bin": course_server.content(f"{path}/a.bin")}
        (download.folder / "a.bin").unlink()


def test_a_record_of_another_file_counts_for_nothing(download, course_server):
    url = course_server.add("/a.bin", 500_000)
    interrupt(download, course_server, url, "/a.bin")
    planted = download.folder / ".a.bin.part"
    planted.rename(download.folder / "moved")
    planted.write_bytes(b"\0" * 400_000)

    download.run(url, attempt=2)

    assert download.files().pop("a.bin") == course_server.content("/a.bin")


@pytest.mark.parametrize("junk", [b"", b"{", b"[]", b'{"etag": 1}', b'{"a": 1}', b"\xff" * 100_000])
def test_a_damaged_record_counts_for_nothing(download, course_server, junk):
    url = course_server.add("/a.bin", 500_000)
    interrupt(download, course_server, url, "/a.bin")
    (download.folder / ".a.bin.etag").write_bytes(junk)

    download.run(url, attempt=2)

    assert download.files() == {"a.bin": course_server.content("/a.bin")}
    assert course_server.requests[-1].status == 200


def test_records_keep_no_secrets(download, course_server):
    download.run(course_server.add("/a.bin", 500_000) + "?token=hunter2")

    assert "hunter2" not in (download.folder / ".a.bin.etag").read_text()


def test_a_killed_download_is_resumed(download, course_server):
    url = course_server.add_course("/go", {"a.bin": 3_000_000, "b.bin": 3_000_000})
    wait = course_server.hold("/go/b.bin", at=2_000_000)
    process = subprocess.Popen(command(download, url))
    try:
        wait()
        part_file = download.folder / ".b.bin.part"
        eventually(lambda: part_file.exists() and part_file.stat().st_size >= 2_000_000, "its first 2 MB")
    finally:
        process.kill()
        process.wait()
    course_server.release("/go/b.bin")
    assert download.files() == {"a.bin": course_server.content("/go/a.bin")}

    download.run(url, attempt=2)

    assert set(download.files()) == {"a.bin", "b.bin"}
    assert download.files()["b.bin"] == course_server.content("/go/b.bin")
    assert course_server.requests[-1].headers["Range"] == "bytes=2000000-"


def test_memory_does_not_grow_with_the_file(download, scripted):
    block = os.urandom(1 << 20)

    def serve(asked):
        size = int(asked.path.strip("/"))
        yield answer(length=size << 20)
        for _ in range(size):
            yield block

    server = scripted(serve)
    peaks = [
        int(subprocess.run(command(download, f"{server.url}/{size}"), check=True, capture_output=True).stdout)
        for size in (4, 256)
    ]

    assert peaks[1] - peaks[0] < 4 * 1024


def test_the_file_and_its_folder_are_synced_around_the_rename(download, course_server, monkeypatch):
    steps = []
    sync, rename = os.fsync, os.rename

    def note_sync(descriptor):
        steps.append(
            "sync " + str(Path(f"/proc/self/fd/{descriptor}").readlink()).removeprefix(str(download.folder))
        )
        sync(descriptor)

    def note_rename(source, target, **options):
        steps.append(f"rename {source} {target}")
        rename(source, target, **options)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "rename", note_rename)

    download.run(course_server.add("/a.bin", 500_000))

    assert steps[-3:] == ["sync /.a.bin.part", "rename .a.bin.part a.bin", "sync "]


def interrupt(download, course_server, url, path):
    """Let an attempt fetch a part of the file and end."""
    course_server.hold(path, at=300_000)

    def check():
        parts = list(download.directory.rglob(".a.bin.part"))
        if parts and parts[0].stat().st_size >= 300_000:
            raise KeyboardInterrupt

    download.checks = check
    with pytest.raises(KeyboardInterrupt):
        download.run(url)
    download.checks = lambda: None
    course_server.release(path)


def command(download, url):
    """Run the handler in a separate process; it prints its peak memory in KiB."""
    code = """
import resource, sys
from orderctl.downloads import Context
from orderctl.downloads.http import HttpHandler
from orderctl.settings import load

url, folder = sys.argv[1:]
flags = {"download.directory": folder, "download.allow_private_hosts": "true"}
context = Context(7, 3, "DH1", 1, None, url, load(flags), lambda *_: None, lambda: None)
handler = HttpHandler(reserve=0)
handler.download(context, handler.enroll(context))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    return [sys.executable, "-c", code, url, str(download.directory)]


@pytest.mark.parametrize("etag", ["", 'ETag: "1"'])
def test_what_is_downloaded_again_and_again_is_no_gain(download, scripted, etag):
    """The server sends no parts, and breaks off at another byte each time."""
    size = 10 * WORTH_IT
    cuts = iter([6, 2, 5, 1, 4, 3, 6, 5] * 10)
    body = answer(bytes(size), *filter(None, [etag]))
    server = scripted(lambda asked: body[: next(cuts) * WORTH_IT - asked.count] if asked.headers else b"")
    enrollment = one_file(server.url, size=size)
    worth_it = []
    for attempt in range(5):
        gains = Gains(download.folder)
        with pytest.raises(ConnectionBroken):
            HttpHandler(reserve=0).download(download.context(server.url, attempt), enrollment)
        worth_it.append(gains.are_worth_it())

    assert not any(worth_it[1:])
    assert download.hidden() == ({".a.bin.part", ".a.bin.etag"} if etag else set())


def test_a_part_that_is_resumed_after_all_is_a_gain(download, scripted):
    """Parts that were thrown away before do not count against it for ever."""
    size = 30 * WORTH_IT
    body = bytes(size)
    limits = (0, 15 * WORTH_IT, 25 * WORTH_IT)
    worth_it = []

    def script(asked):
        if worth_it:
            more = asked.start < limits[len(worth_it)]
            return versioned(body, asked)[: 2 * WORTH_IT] if more else RESET
        return answer(body, 'ETag: "1"')[: 20 * WORTH_IT - asked.count * WORTH_IT]

    server = scripted(script)
    enrollment = one_file(server.url, size=size)
    for _ in limits:
        gains = Gains(download.folder)
        with pytest.raises(DownloadError):
            HttpHandler(reserve=0).download(download.context(server.url), enrollment)
        worth_it.append(gains.are_worth_it())

    assert worth_it[-1]
