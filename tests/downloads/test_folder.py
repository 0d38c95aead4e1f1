"""Files, folders and links that exist already where the downloaded files go."""

import ctypes
import errno
import os
from contextlib import contextmanager

import pytest

from orderctl import failures
from orderctl.downloads.errors import BadAnswer, LinkRefused, NotPermitted
from orderctl.downloads.http import HttpHandler
from orderctl.states import ErrorType
from tests.downloads.conftest import one_file
from tests.servers.scripted import answer

NASTY_NAMES = [
    "../escaped", "../../../../escaped", "/escaped", "a/../../../escaped", "..\\..\\escaped", "C:\\escaped",
    "nul\0byte", "\n", ".", "..", "....//escaped", "x" * 300, "x" * 300, "é" * 300 + ".mp4", "%2e%2e%2fescaped",
    ".bashrc", "..part", "a.part", ".a.part", ".a.etag", "a", "a/b", "A", "con", "-rf", "~root", "\u202egpj.exe",
]  # fmt: skip


class Capabilities(ctypes.Structure):
    """The result of capget(2): its header, then the lower and the upper half of each set."""

    _fields_ = (
        ("version", ctypes.c_uint32),
        ("pid", ctypes.c_int),
        ("sets", ctypes.c_uint32 * 6),
    )


@contextmanager
def like_anybody():
    """Let this thread, even if it is root's, write only where a folder's mode allows it."""
    libc = ctypes.CDLL(None, use_errno=True)
    held = Capabilities(version=0x20080522)
    place = ctypes.addressof(held)
    call = (ctypes.c_void_p(place), ctypes.c_void_p(place + Capabilities.sets.offset))
    assert libc.capget(*call) == 0
    before = held.sets[0]
    held.sets[0] &= ~(1 << 1 | 1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(*call) == 0
    try:
        yield
    finally:
        held.sets[0] = before
        assert libc.capset(*call) == 0


def test_nothing_leaves_the_folder_whatever_its_name(download, course_server, tmp_path):
    (tmp_path / "beside").write_text("mine")
    entries = [
        {"name": name, "url": course_server.add(f"/{number}", f"file {number}".encode())}
        for number, name in enumerate(NASTY_NAMES)
    ]
    download.run(course_server.add_manifest("/m.json", {"files": entries}))

    assert sorted(download.files().values()) == sorted(f"file {n}".encode() for n in range(len(NASTY_NAMES)))
    outside = {path for path in tmp_path.rglob("*") if path.is_file() and download.folder not in path.parents}
    assert outside == {tmp_path / "beside"}


def test_an_order_code_does_not_leave_the_directory(download, course_server, tmp_path):
    download.order_code = "../../.."

    delivery = download.run(course_server.add("/a.bin", b"x"))

    assert (download.directory / delivery.folder_name / "a.bin").read_bytes() == b"x"
    assert {path.name for path in tmp_path.iterdir()} == {"downloads"}


@pytest.fixture
def outside(tmp_path):
    """A folder of another user with a file in it; neither may change."""
    place = tmp_path / "outside"
    place.mkdir()
    (place / "precious").write_bytes(b"precious")
    yield place
    assert {path.name: path.read_bytes() for path in place.iterdir()} == {"precious": b"precious"}


PLANTED = {
    "order's folder": lambda place, outside: place.parent.symlink_to(outside),
    "task's folder": lambda place, outside: parents(place).symlink_to(outside),
    "inner folder": lambda place, outside: (parents(place / "in")).symlink_to(outside),
    "part": lambda place, outside: parents(place / "in/.a.bin.part").symlink_to(outside / "precious"),
    "dangling part": lambda place, outside: parents(place / "in/.a.bin.part").symlink_to(outside / "new"),
    "file": lambda place, outside: parents(place / "in/a.bin").symlink_to(outside / "precious"),
    "record": lambda place, outside: parents(place / "in/.a.bin.etag").symlink_to(outside / "precious"),
    "hard link": lambda place, outside: parents(place / "in/.a.bin.part").hardlink_to(outside / "precious"),
    "pipe": lambda place, _outside: os.mkfifo(parents(place / "in/.a.bin.part")),
    "folder": lambda place, _outside: (place / "in/.a.bin.part").mkdir(parents=True),
    "folder for the file": lambda place, _outside: (place / "in/a.bin").mkdir(parents=True),
    "file for a folder": lambda place, _outside: parents(place / "in").touch(),
}


def parents(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
def test_refuses_what_is_planted_in_the_target(download, course_server, outside, plant):
    download.directory.mkdir()
    plant(download.folder, outside)

    with pytest.raises(LinkRefused) as caught:
        download.run(course_server.add_course("/go", {"in/a.bin": 100_000}))

    assert caught.value.error_type is ErrorType.PERMISSION


def test_a_dot_dot_in_an_enrollment_of_a_stranger_is_refused(download, course_server):
    context = download.context(course_server.add("/a.bin", 1))
    enrollment = one_file(context.course_url, name="../../a.bin")

    with pytest.raises(LinkRefused):
        HttpHandler(reserve=0).download(context, enrollment)

    assert list(download.directory.rglob("a.bin")) == []


def test_the_download_directory_itself_may_be_a_link(download, course_server, tmp_path):
    (tmp_path / "large disk").mkdir()
    download.directory.symlink_to(tmp_path / "large disk")

    download.run(course_server.add("/a.bin", b"x"))

    assert download.files() == {"a.bin": b"x"}


def test_a_folder_that_may_not_be_written_to(download, course_server):
    download.directory.mkdir(mode=0o500)

    with like_anybody(), pytest.raises(NotPermitted) as caught:
        download.run(course_server.add("/a.bin", 1))

    assert caught.value.error_type is ErrorType.PERMISSION


def test_a_directory_that_cannot_be_made(download, course_server, monkeypatch):
    def refuse(*_args, **_options):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "mkdir", refuse)

    with pytest.raises(NotPermitted, match="permission denied") as caught:
        download.run(course_server.add("/a.bin", 1))

    assert caught.value.error_type is ErrorType.PERMISSION


def test_messages_about_different_files_have_the_same_words_around_the_name(download, scripted):
    """A failure's fingerprint leaves out URLs and quoted text, so that one cause leads to one alert."""
    found = set()
    for name in ("lesson 1.mp4", "it's lesson 2.mp4"):
        server = scripted(lambda _asked, name=name: answer(f"<html><title>{name}</title>".encode()))
        with pytest.raises(BadAnswer) as caught:
            download.run(f"{server.url}/{name}")
        found.add(failures.fingerprint(caught.value))
    assert len(found) == 1
