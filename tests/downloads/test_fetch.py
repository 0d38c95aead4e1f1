"""Fetching a file: where an attempt goes on, and when it starts over."""

import hashlib
import random

import pytest

from orderctl.downloads.errors import (
    ChecksumMismatch,
    ConnectionBroken,
    StatusRefused,
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
    "is in many parts, with a range": (
        f"Content-Range: bytes {HALF}-{len(BODY) - 1}/{len(BODY)}", "Content-Type: Multipart/ByteRanges; boundary=x", 'ETag: "1"',
    ),
    "is in many parts, with a range and the label of old": (
        f"Content-Range: bytes {HALF}-{len(BODY) - 1}/{len(BODY)}", "Content-Type: multipart/x-byteranges", 'ETag: "1"',
    ),
    "has another version": (f"Content-Range: bytes {HALF}-{len(BODY) - 1}/{len(BODY)}", 'ETag: "2"'),
    "has a weak version": (f"Content-Range: bytes {HALF}-{len(BODY) - 1}/{len(BODY)}", 'ETag: W/"1"'),
    "has no version": (f"Content-Range: bytes {HALF}-{len(BODY) - 1}/{len(BODY)}",),
}  # fmt: skip


@pytest.mark.parametrize("headers", WRONG_PARTS.values(), ids=WRONG_PARTS)
def test_starts_over_when_the_partial_answer_is_wrong(download, halfway, headers):
    def lie(asked):
        junk = answer(b"\0" * HALF, *headers, status="206 Partial Content")
        return junk if asked.start else versioned(BODY, asked)

    halfway.script = lie

    assert resumed(download, halfway) == [(f"bytes={HALF}-", '"1"'), (None, None)]


def test_a_part_of_any_other_label_is_taken(download, halfway):
    halfway.script = lambda asked: versioned(BODY, asked).replace(
        b"ETag", b"Content-Type: multipart/x-zip\r\nETag"
    )

    assert resumed(download, halfway) == [(f"bytes={HALF}-", '"1"')]


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


REST = BODY[HALF:]
RANGE = f"Content-Range: bytes {HALF}-{len(BODY) - 1}/{len(BODY)}"
#: What servers answer to a request for the rest, though they would send the whole file.
REFUSALS = {
    **{f"status {status}": answer(b"no", status=f"{status} No") for status in (
        300, 304, 400, 401, 403, 404, 405, 406, 409, 410, 412, 416, 417, 418, 500, 501, 505,
    )},
    "a 200 with the rest": answer(REST, 'ETag: "1"'),
    "a 200 with the rest, of another version": answer(REST, 'ETag: "2"'),
    "a 200 with the rest, of no version": answer(REST),
    "a 200 with the rest, and its range": answer(REST, 'ETag: "1"', RANGE),
    "a 200 with the rest in chunks": chunked(REST, headers='ETag: "1"\r\n'),
    "a 200 with the rest, ended by the connection": b'HTTP/1.1 200 OK\r\nETag: "1"\r\n\r\n' + REST,
    "a 200 with the end of the rest": answer(REST[10:], 'ETag: "1"'),
    "a 206 with the whole": answer(
        BODY, 'ETag: "1"', f"Content-Range: bytes 0-{len(BODY) - 1}/{len(BODY)}", status="206 Partial Content"
    ),
    "a login page": answer(b"<html>Log in", "Content-Type: text/html"),
    "a redirect to another scheme": answer(b"", "Location: ftp://a.example/", status="302 Found"),
    "a redirect to nowhere": answer(b"", "Location: http://", status="302 Found"),
    "a redirect for ever": answer(b"", "Location: /again", status="302 Found"),
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a length that is no number": answer(REST).replace(b"Content-Length: ", b"Content-Length: x"),
    "another coding": answer(b"x", 'ETag: "1"', "Content-Encoding: br"),
    "nothing": b"",
    "half a header": b"HTTP/1.1 206 Partial",
}  # fmt: skip


@pytest.mark.parametrize("said", REFUSALS.values(), ids=REFUSALS)
def test_a_refused_resumption_is_not_the_downloads_failure(download, halfway, said):
    halfway.script = lambda asked: said if "range" in asked.headers else versioned(BODY, asked)

    assert resumed(download, halfway)[-1] == (None, None)


@pytest.mark.parametrize("status", [403, 405, 501])
def test_a_server_that_refuses_parts_may_break_off_once(download, scripted, status):
    """The same attempt starts over; the requests are: enroll, break off, a part, the whole file."""

    def script(asked):
        if "range" in asked.headers:
            return answer(b"no", status=f"{status} No")
        return versioned(BODY, asked)[: -HALF if asked.count == 1 else None]

    server = scripted(script)

    download.run(f"{server.url}/a.bin")

    assert download.files() == {"a.bin": BODY}
    assert len(server.asked) == 4


@pytest.mark.parametrize("status", [404, 403, 503])
def test_the_part_is_kept_until_the_server_sends_the_file(download, halfway, status):
    halfway.script = lambda asked: answer(status=f"{404 if asked.start else status} No")
    with pytest.raises(StatusRefused, match=str(status)):
        resumed(download, halfway)
    halfway.asked.clear()
    halfway.script = lambda asked: versioned(BODY, asked)

    assert resumed(download, halfway) == [(f"bytes={HALF}-", '"1"')]


@pytest.mark.parametrize("status", [202, 408, 429, 502, 503, 504])
def test_a_server_that_is_out_of_order_for_parts_only_is_asked_for_the_whole_file_later(
    download, halfway, status
):
    halfway.script = lambda asked: (
        answer(status=f"{status} X", length=0) if "range" in asked.headers else versioned(BODY, asked)
    )
    for _ in range(2):
        with pytest.raises(StatusRefused) as caught:
            resumed(download, halfway)
        assert caught.value.transient
    halfway.asked.clear()

    assert resumed(download, halfway) == [(f"bytes={HALF}-", '"1"'), (None, None)]


def test_refusals_with_a_success_between_them_are_not_counted_together(download, halfway):
    def step(asked):
        return versioned(BODY, asked)[:-10] if asked.start else b""

    for number, script in enumerate([None, None, step, None, None]):
        halfway.script = script or (lambda _asked: answer(status="503 No"))
        with pytest.raises((StatusRefused, ConnectionBroken)):
            resumed(download, halfway)
        assert all(asked.start for asked in halfway.asked), number


def test_a_file_that_was_finished_is_asked_for_again_where_the_question_is_refused(download, scripted):
    server = scripted(lambda asked: versioned(BODY, asked))
    download.run(f"{server.url}/a.bin")
    for said in (b"junk\r\n\r\n", b"", answer(b"", "Location: ftp://x/", status="302 Found")):
        server.script = lambda asked, said=said: (
            said if "if-none-match" in asked.headers else versioned(BODY, asked)
        )

        download.run(f"{server.url}/a.bin", attempt=2)

        assert download.files() == {"a.bin": BODY}


def test_a_part_that_is_longer_than_the_file_is_thrown_away(download, halfway):
    with (download.folder / ".a.bin.part").open("ab") as part:
        part.write(BODY)
    halfway.script = lambda asked: versioned(BODY, asked)

    assert resumed(download, halfway) == [(None, None)]


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


def test_pieces_of_one_attempt_that_do_not_fit_together_are_not_final(download, scripted):
    def lie(asked):
        """Break off twice, and send a wrong rest each time."""
        true = versioned(BODY, asked)
        return true[:-10] + b"\0" * 10 if asked.start else true[: -HALF if asked.count < 3 else None]

    server = scripted(lie)
    context = download.context(f"{server.url}/a.bin")
    course = one_file(context.course_url, sha256=hashlib.sha256(BODY).hexdigest())

    with pytest.raises(ConnectionBroken):  # the second time, too
        HttpHandler(reserve=0).download(context, course)
    HttpHandler(reserve=0).download(context, course)

    assert download.files() == {"a.bin": BODY}
    assert [asked.start for asked in server.asked] == [0, HALF, 0, HALF, 0]


def test_a_wrong_checksum_is_not_asked_for_twice(download, scripted):
    server = scripted(lambda _asked: answer(BODY, 'ETag: "1"'))
    context = download.context(f"{server.url}/a.bin")

    with pytest.raises(ChecksumMismatch):
        HttpHandler(reserve=0).download(context, one_file(context.course_url, sha256="0" * 64))

    assert len(server.asked) == 1
    assert download.files() == {}
    assert download.hidden() == set()
