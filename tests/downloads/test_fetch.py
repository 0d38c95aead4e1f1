"""Fetching a file: where an attempt goes on, and when it starts over."""

import hashlib
import random

import pytest

from orderctl.downloads.errors import (
    ChecksumMismatch,
    ConnectionBroken,
)
from orderctl.downloads.fetch import RECONNECTS
from orderctl.downloads.http import HttpHandler
from orderctl.states import ErrorType
from tests.downloads.conftest import one_file
from tests.servers.scripted import answer, chunked, versioned

BODY = random.Random(1).randbytes(64 * 1024)
HALF = len(BODY) // 2


@pytest.fixture
def halfway(download, scripted):
    """A course whose first half was fetched by an attempt; then the server answers as the test sets."""

    def script(asked):
        return versioned(BODY, asked)[: -HALF or None] if asked.count <= 1 else b""

    server = scripted(script)
    with pytest.raises(ConnectionBroken):
        download.run(f"{server.url}/a.bin")
    assert download.files() == {}
    server.asked.clear()
    return server


def resumed(download, server):
    """Run the next attempt without another enrollment, and return the requests."""
    context = download.context(f"{server.url}/a.bin", attempt=2)
    HttpHandler(reserve=0).download(context, one_file(context.course_url))
    assert download.files() == {"a.bin": BODY}
    assert download.hidden() <= {".a.bin.etag"}
    return [(asked.headers.get("range"), asked.headers.get("if-range")) for asked in server.asked]


@pytest.mark.parametrize("boundary", range(0, len(BODY), 4096))
def test_truncated_at_every_4_kib_boundary(download, scripted, boundary):
    def truncate(asked):
        whole = versioned(BODY, asked)
        return whole[: whole.index(b"\r\n\r\n") + 4 + max(0, boundary - asked.start)]

    server = scripted(truncate)
    url = f"{server.url}/a.bin"

    with pytest.raises(ConnectionBroken) as caught:
        download.run(url)

    assert caught.value.error_type is ErrorType.NETWORK
    assert download.files() == {}
    assert len(server.asked) <= 3  # enroll, download, one failed resumption
    server.script = lambda asked: versioned(BODY, asked)
    download.run(url, attempt=2)
    assert download.files() == {"a.bin": BODY}
    assert server.asked[-1].start == boundary


@pytest.mark.parametrize("boundary", range(0, len(BODY), 4096))
def test_truncated_where_only_the_end_shows_the_length(download, scripted, boundary):
    server = scripted(lambda _asked: chunked(BODY[:boundary], end=False) if boundary else chunked(end=False))

    with pytest.raises(ConnectionBroken):
        download.run(f"{server.url}/a.bin")

    assert download.files() == {}
    assert download.hidden() <= {".a.bin.part"}


def test_goes_on_within_an_attempt_where_each_connection_brings_something(download, scripted):
    step = len(BODY) // RECONNECTS

    def stutter(asked):
        whole = versioned(BODY, asked)
        return whole[: whole.index(b"\r\n\r\n") + 4 + step]

    server = scripted(stutter)

    download.run(f"{server.url}/a.bin")

    assert download.files() == {"a.bin": BODY}
    assert [asked.start for asked in server.asked[1:]] == list(range(0, len(BODY), step))


def test_resumes_with_range_and_if_range(download, halfway):
    halfway.script = lambda asked: versioned(BODY, asked)

    assert resumed(download, halfway) == [(f"bytes={HALF}-", '"1"')]


WRONG_PARTS = {
    "starts elsewhere": (f"Content-Range: bytes {HALF - 1}-{len(BODY) - 1}/{len(BODY)}", 'ETag: "1"'),
    "ends elsewhere": (f"Content-Range: bytes {HALF}-{len(BODY) - 2}/{len(BODY)}", 'ETag: "1"'),
    "has another total": (f"Content-Range: bytes {HALF}-{len(BODY) - 1}/{len(BODY) + 1}", 'ETag: "1"'),
    "has no total": (f"Content-Range: bytes {HALF}-{len(BODY) - 1}/*", 'ETag: "1"'),
    "has no range": ('ETag: "1"',),
    "is in many parts": ("Content-Type: multipart/byteranges; boundary=x", 'ETag: "1"'),
    "has another version": (f"Content-Range: bytes {HALF}-{len(BODY) - 1}/{len(BODY)}", 'ETag: "2"'),
    "has a weak version": (f"Content-Range: bytes {HALF}-{len(BODY) - 1}/{len(BODY)}", 'ETag: W/"1"'),
    "has no version": (f"Content-Range: bytes {HALF}-{len(BODY) - 1}/{len(BODY)}",),
}


@pytest.mark.parametrize("headers", WRONG_PARTS.values(), ids=WRONG_PARTS)
def test_starts_over_when_the_partial_answer_is_wrong(download, halfway, headers):
    def lie(asked):
        junk = answer(b"\0" * HALF, *headers, status="206 Partial Content")
        return junk if asked.start else versioned(BODY, asked)

    halfway.script = lie

    assert resumed(download, halfway) == [(f"bytes={HALF}-", '"1"'), (None, None)]


def test_starts_over_when_the_partial_answer_has_another_length(download, halfway):
    def lie(asked):
        content_range = f"Content-Range: bytes {HALF}-{len(BODY) - 1}/{len(BODY)}"
        junk = answer(b"\0" * 100, content_range, 'ETag: "1"', status="206 Partial Content")
        return junk if asked.start else versioned(BODY, asked)

    halfway.script = lie

    assert len(resumed(download, halfway)) == 2


def test_takes_the_whole_file_where_a_part_was_asked_for(download, halfway):
    halfway.script = lambda _asked: answer(BODY, 'ETag: "1"')

    assert resumed(download, halfway) == [(f"bytes={HALF}-", '"1"')]


def test_starts_over_after_a_416_with_an_html_body(download, halfway):
    def lie(asked):
        page = answer(b"<html>no</html>", "Content-Type: text/html", status="416 Range Not Satisfiable")
        return page if asked.start else versioned(BODY, asked)

    halfway.script = lie

    assert len(resumed(download, halfway)) == 2


def test_keeps_the_part_when_the_server_is_out_of_order(download, halfway):
    halfway.script = lambda _asked: answer(status="503 Service Unavailable")
    with pytest.raises(Exception, match="HTTP 503"):
        resumed(download, halfway)
    halfway.asked.clear()
    halfway.script = lambda asked: versioned(BODY, asked)

    assert resumed(download, halfway) == [(f"bytes={HALF}-", '"1"')]


def test_a_version_that_changes_in_the_middle_is_fetched_whole(download, halfway):
    other = bytes(reversed(BODY))
    halfway.script = lambda asked: versioned(other, asked, '"2"')

    context = download.context(f"{halfway.url}/a.bin", attempt=2)
    HttpHandler(reserve=0).download(context, one_file(context.course_url))

    assert download.files() == {"a.bin": other}


def test_a_version_that_changes_with_every_request_never_becomes_a_file(download, scripted):
    def change(asked):
        body = bytes([asked.count % 256]) * len(BODY)
        return versioned(body, asked, f'"{asked.count}"')[: -HALF or None]

    server = scripted(change)

    with pytest.raises(ConnectionBroken):
        download.run(f"{server.url}/a.bin")

    assert download.files() == {}
    assert len(server.asked) <= 2 * RECONNECTS + 4


@pytest.mark.parametrize("etag", ['ETag: W/"1"', "ETag: 1", "X-Nothing: 1", 'ETag: "1', 'ETag: "a"b"'])
def test_never_resumes_without_a_strong_version(download, scripted, etag):
    server = scripted(lambda _asked: answer(BODY[:HALF], etag, length=len(BODY)))
    with pytest.raises(ConnectionBroken):
        download.run(f"{server.url}/a.bin")
    server.asked.clear()
    server.script = lambda _asked: answer(BODY, etag)

    assert resumed(download, server) == [(None, None)]


def test_pieces_that_do_not_fit_together_are_fetched_again_once(download, halfway):
    def lie(asked):
        true = versioned(BODY, asked)
        return true[:-10] + b"\0" * 10 if asked.start else true

    halfway.script = lie
    context = download.context(f"{halfway.url}/a.bin", attempt=2)
    known = {"sha256": hashlib.sha256(BODY).hexdigest()}

    HttpHandler(reserve=0).download(context, one_file(context.course_url, **known))

    assert download.files() == {"a.bin": BODY}
    assert [asked.start for asked in halfway.asked] == [HALF, 0]


def test_a_wrong_checksum_is_not_asked_for_twice(download, scripted):
    server = scripted(lambda _asked: answer(BODY, 'ETag: "1"'))
    context = download.context(f"{server.url}/a.bin")

    with pytest.raises(ChecksumMismatch):
        HttpHandler(reserve=0).download(context, one_file(context.course_url, sha256="0" * 64))

    assert len(server.asked) == 1
    assert download.files() == {}
    assert download.hidden() == set()
