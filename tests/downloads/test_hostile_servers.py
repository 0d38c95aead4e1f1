"""Malformed and hostile answers: no wrong or partial file gets a final name; each failure has its type."""

import hashlib
import random
import shutil
from itertools import count, repeat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderctl.downloads.errors import (
    BadAnswer,
    ChecksumMismatch,
    ConnectionBroken,
    DownloadError,
    NotAFile,
    SizeMismatch,
    TooLarge,
    TooSlow,
    UrlRefused,
)
from orderctl.downloads.fetch import RECONNECTS
from orderctl.downloads.http import HttpHandler
from orderctl.states import ErrorType
from tests.downloads.conftest import one_file
from tests.servers.scripted import ScriptedServer, answer, chunked, versioned

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
def test_truncated_where_only_the_end_tells_the_length(download, scripted, boundary):
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


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        (answer(BODY, status="206 Partial Content"), BadAnswer, "HTTP 206"),
        (answer(BODY, status="203 Non-Authoritative Information"), BadAnswer, "HTTP 203"),
        (answer(status="304 Not Modified"), BadAnswer, "HTTP 304"),
        (answer(status="302 Found"), BadAnswer, "HTTP 302"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + BODY, BadAnswer, "no Content-Length"),
        (answer(BODY, "Content-Length: 5"), BadAnswer, "Content-Length"),
        (answer(BODY).replace(b"Content-Length: 6", b"Content-Length: -6"), BadAnswer, "Content-Length"),
        (answer(BODY, "Transfer-Encoding: gzip, chunked"), BadAnswer, "transfer encoding"),
        (answer(BODY, "Content-Encoding: gzip"), BadAnswer, "Content-Encoding"),
        (answer(BODY, "Content-Type: text/html; charset=utf-8"), NotAFile, "HTML page"),
        (answer(b"\n<!-- x --><!DOCTYPE HTML><p>Log in"), NotAFile, "HTML page"),
        (chunked(b"<html", b"><p>Log in"), NotAFile, "HTML page"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", BadAnswer, "not valid HTTP"),
        (b"", ConnectionBroken, "before the response was complete"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", ConnectionBroken, "before the response was complete"),
        (chunked(b"abc", end=False) + b"zz\r\n", ConnectionBroken, "before the response was complete"),
        (answer(length=10**15), TooLarge, "max_bytes"),
    ],
)  # fmt: skip
def test_refuses_what_is_no_file(download, scripted, said, error, words):
    server = scripted(lambda _asked: said)

    with pytest.raises(error, match=words) as caught:
        download.run(f"{server.url}/a.bin")

    assert type(caught.value) is error
    assert download.files() == {}


def test_an_html_page_is_a_file_where_the_name_says_so(download, scripted):
    server = scripted(lambda _asked: answer(b"<html></html>", "Content-Type: text/html"))

    download.run(f"{server.url}/notes.html")

    assert download.files() == {"notes.html": b"<html></html>"}


def test_another_size_than_the_manifest_says_is_refused(download, scripted):
    for said in (answer(BODY), chunked(BODY)):
        server = scripted(lambda _asked, said=said: said)
        context = download.context(f"{server.url}/a.bin")

        with pytest.raises(SizeMismatch, match=f"{len(BODY)} bytes instead of 5"):
            HttpHandler(reserve=0).download(context, one_file(context.course_url, size=5))

        assert download.files() == {}


def test_a_body_that_only_the_connection_ends_is_held_against_the_size(download, scripted):
    said = b"HTTP/1.0 200 OK\r\n\r\n" + BODY
    server = scripted(lambda _asked: said[:-1])
    context = download.context(f"{server.url}/a.bin")

    with pytest.raises(ConnectionBroken, match=f"{len(BODY) - 1} of {len(BODY)} bytes"):
        HttpHandler(reserve=0).download(context, one_file(context.course_url, size=len(BODY)))

    assert download.files() == {}
    server.script = lambda _asked: said
    HttpHandler(reserve=0).download(context, one_file(context.course_url, size=len(BODY)))
    assert download.files() == {"a.bin": BODY}


def test_an_endless_file_ends_at_the_limit(download, scripted):
    download.settings["download.max_bytes"] = "1000000"
    server = scripted(
        lambda _asked: (
            piece for piece in [chunked(end=False), *repeat(b"1000\r\n" + b"x" * 4096 + b"\r\n", 5000)]
        )
    )

    with pytest.raises(TooLarge, match="max_bytes"):
        download.run(f"{server.url}/a.bin")

    assert download.files() == {}
    assert download.hidden() == set()


ENDLESS = {
    "header": (b"HTTP/1.1 200 OK\r\n", lambda n: b"X-%d: %b\r\n" % (n, b"x" * 4096)),
    "interim answers": (b"", lambda _n: b"HTTP/1.1 100 Continue\r\n\r\n"),
    "trailer": (chunked(b"abc", end=False) + b"0\r\n", lambda n: b"X-%d: %b\r\n" % (n, b"x" * 4096)),
    "chunk size": (chunked(b"abc", end=False) + b"1;", lambda _n: b"x" * 4096),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_endless_talk_is_cut_short(download, scripted, kind):
    start, more = ENDLESS[kind]
    server = scripted(lambda _asked: (start if n == 0 else more(n) for n in count()))

    with pytest.raises((BadAnswer, ConnectionBroken)):
        download.run(f"{server.url}/a.bin")

    assert download.files() == {}


DRIPS = {
    "nothing": b"",
    "status line": b"HTTP/1.1 2",
    "header": b"HTTP/1.1 200 OK\r\nX: ",
    "body": answer(length=10**6),
    "chunk": chunked(b"abc", end=False) + b"ffff\r\n",
    "chunk size": chunked(b"abc", end=False) + b"1;",
}


@pytest.mark.parametrize("stage", DRIPS)
def test_a_dripping_server_is_too_slow(download, scripted, stage):
    download.settings["download.timeout_seconds"] = "1"

    def drip(asked):
        yield DRIPS[stage]
        while not server.gone.wait(0.02):
            yield b"x"

    server = scripted(drip)
    context = download.context(f"{server.url}/a.bin")

    with pytest.raises(TooSlow) as caught:
        HttpHandler(window=0.5, reserve=0).download(context, one_file(context.course_url))

    assert caught.value.error_type is ErrorType.TIMEOUT
    assert download.files() == {}


@pytest.mark.parametrize("stage", ["nothing", "status line", "header"])
def test_an_answer_that_drips_is_too_slow_at_any_rate(download, scripted, stage):
    download.settings |= {"download.timeout_seconds": "0.5", "download.min_bytes_per_second": "0"}

    def drip(_asked):
        yield DRIPS[stage]
        while not server.gone.wait(0.02):
            yield b"x"

    server = scripted(drip)

    with pytest.raises(TooSlow):
        download.run(f"{server.url}/a.bin")


@pytest.mark.parametrize("stage", DRIPS)
def test_a_silent_server_is_too_slow(download, scripted, stage):
    download.settings["download.timeout_seconds"] = "0.2"

    def fall_silent(asked):
        yield DRIPS[stage] or b"H"
        server.gone.wait()

    server = scripted(fall_silent)
    context = download.context(f"{server.url}/a.bin")

    with pytest.raises(TooSlow, match=r"0\.2 s"):
        HttpHandler(reserve=0).download(context, one_file(context.course_url))


def test_a_slow_server_that_is_fast_enough_is_not_too_slow(download, scripted):
    download.settings["download.min_bytes_per_second"] = "200"

    def trickle(asked):
        yield answer(length=6000)
        for _ in range(60):
            server.gone.wait(0.02)
            yield b"x" * 100

    server = scripted(trickle)

    download.run(f"{server.url}/a.bin", handler=HttpHandler(window=1, reserve=0))

    assert download.files() == {"a.bin": b"x" * 6000}


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("file:///etc/passwd", "not file:"),
        ("ftp://127.0.0.1/a", "not ftp:"),
        ("gopher://127.0.0.1/a", "not gopher:"),
        ("//", "no host|more than 10 times"),
        ("http://", "no host|more than 10 times"),
        ("http://[::1", "malformed"),
        ("http://127.0.0.1:99999/", "malformed"),
        ("http://a b/", "forbidden|malformed"),
        ("/again", "redirects more than 10 times"),
    ],
)
def test_refuses_redirects_that_lead_astray(download, scripted, location, words):
    server = scripted(lambda _asked: answer(b"", f"Location: {location}", status="302 Found"))

    with pytest.raises(UrlRefused, match=words) as caught:
        download.run(f"{server.url}/a.bin")

    assert caught.value.error_type is ErrorType.UNKNOWN


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_follows_redirects(download, scripted, status):
    def redirect(asked):
        if asked.path == "/a.bin":
            return answer(b"", "Location: b/ü?x=1#y", status=f"{status} Moved")
        return answer(asked.path.encode())

    server = scripted(redirect)

    download.run(f"{server.url}/a.bin")

    assert download.files() == {"a.bin": b"/b/%C3%BC?x=1"}


def test_tells_a_password_only_to_the_server_that_it_is_for(download, scripted):
    other = scripted(lambda _asked: answer(b"x"))
    server = scripted(lambda _asked: answer(b"", f"Location: {other.url}/b", status="302 Found"))

    download.run(server.url.replace("//", "//us%40er:pa%20ss@") + "/a.bin")

    assert server.asked[0].headers["authorization"] == "Basic dXNAZXI6cGEgc3M="
    assert "authorization" not in other.asked[0].headers


def test_looks_up_while_the_server_is_silent(download, scripted):
    def fall_silent(asked):
        yield answer(length=1000)
        server.gone.wait()

    server = scripted(fall_silent)
    context = download.context(f"{server.url}/a.bin")
    calls = count()

    def check():
        if next(calls) > 3:
            raise KeyboardInterrupt

    download.checks = check

    with pytest.raises(KeyboardInterrupt):
        HttpHandler(reserve=0).download(context, one_file(context.course_url))


PIECES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 206 Partial Content\r\n", b"HTTP/1.1 302 F\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Content-Length: x\r\n",
        b"Transfer-Encoding: chunked\r\n", b"Content-Type: application/json\r\n", b'ETag: "1"\r\n',
        b"Content-Range: bytes 0-4/5\r\n", b"Location: /b\r\n", b"Location: http://[\r\n", b"\r\n", b"right",
        b"5\r\nright\r\n0\r\n\r\n", b'{"files": [', b'{"files": [{"url": "/x"}]}',
        b'Content-Disposition: attachment; filename="',
    ]
)  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(PIECES, PIECES, PIECES, st.binary(max_size=20)), max_size=8))
def test_whatever_a_server_says_is_a_file_or_one_of_our_errors(download, fuzzed, pieces):
    fuzzed.script = lambda _asked: b"".join(pieces)
    try:
        download.run(f"{fuzzed.url}/a.bin")
    except DownloadError:
        assert not any(download.files())
    else:
        assert len(download.files()) == 1
    shutil.rmtree(download.directory, ignore_errors=True)


@pytest.fixture(scope="module")
def fuzzed():
    server = ScriptedServer(lambda _asked: b"").start()
    yield server
    server.close()
