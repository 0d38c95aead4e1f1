"""Downloads to a full disk, and the checks of free space."""

import errno
import os
import resource
from contextlib import contextmanager

import pytest

from orderctl.downloads.errors import DiskFull
from orderctl.downloads.http import HttpHandler
from orderctl.states import ErrorType
from tests.downloads.conftest import one_file
from tests.servers.scripted import answer, chunked


def test_too_little_disk_space_is_reported_before_a_byte_is_fetched(download, course_server):
    url = course_server.add_course("/go", {"a.bin": 1000})

    with pytest.raises(DiskFull, match="1000 bytes and a reserve") as caught:
        download.run(url, handler=HttpHandler(reserve=2**62))

    assert caught.value.error_type is ErrorType.DISK_SPACE
    assert [request.path for request in course_server.requests] == ["/go/course.json"]


def test_too_little_disk_space_is_reported_before_the_body_if_only_the_server_knows_the_size(
    download, scripted, small_disk
):
    download.directory = small_disk(1 << 20)
    server = scripted(lambda _asked: answer(b"x" * 100, length=2 << 20))
    context = download.context(f"{server.url}/a.bin")

    with pytest.raises(DiskFull, match=f": {2 << 20} bytes and a reserve"):
        HttpHandler(reserve=0).download(context, one_file(context.course_url))


def test_a_disk_that_fills_up_is_left_with_its_room(download, scripted, small_disk):
    download.directory = small_disk(1 << 20)
    server = scripted(lambda _asked: chunked(*[b"x" * 65536] * 32))

    with pytest.raises(DiskFull, match="no space left") as caught:
        download.run(f"{server.url}/a.bin")

    assert caught.value.error_type is ErrorType.DISK_SPACE
    assert download.files() == {}
    assert download.hidden() == set()
    space = os.statvfs(download.directory)
    assert space.f_bfree >= 0.9 * space.f_blocks


def test_a_file_beyond_the_limit_of_the_process_is_not_kept(download, course_server):
    url = course_server.add("/a.bin", 500_000)

    with limited(resource.RLIMIT_FSIZE, 300_000), pytest.raises(DiskFull):
        download.run(url)

    assert download.files() == {}
    assert download.hidden() == set()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_fails_at_the_last_sync_leaves_no_file_and_no_part(
    download, course_server, monkeypatch, number
):
    url = course_server.add("/a.bin", 500_000)
    sync = os.fsync

    def fail(descriptor):
        if os.fstat(descriptor).st_size == 500_000:
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(OSError if number == errno.EIO else DiskFull):
        download.run(url)

    assert download.files() == {}
    assert download.hidden() == set()


@contextmanager
def limited(kind, soft):
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)
