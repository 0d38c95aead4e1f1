"""Malformed and hostile answers: each is a file or a failure of the right type, and nothing wrong is kept."""

import random
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderctl.downloads.errors import (
    BadAnswer,
    ConnectionBroken,
    DownloadError,
    NotAFile,
    SizeMismatch,
    TooLarge,
    UrlRefused,
)
from orderctl.downloads.http import HttpHandler
from orderctl.states import ErrorType
from tests.downloads.conftest import one_file
from tests.servers.scripted import ScriptedServer, answer, chunked

BODY = random.Random(1).randbytes(64 * 1024)


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        (answer(BODY, status="206 Partial Content"), BadAnswer, "HTTP 206"),
        (answer(BODY, "Content-Range: bytes 1-65536/65537", status="206 Partial Content"), BadAnswer, "HTTP 206"),
        (answer(BODY, "Content-Range: bytes 0-65535/70000", status="206 Partial Content"), BadAnswer, "HTTP 206"),
        (answer(status="204 No Content"), BadAnswer, "HTTP 204"),
        (answer(status="205 Reset Content"), BadAnswer, "HTTP 205"),
        (answer(BODY, status="300 Multiple Choices"), BadAnswer, "HTTP 300"),
        (answer(status="304 Not Modified"), BadAnswer, "HTTP 304"),
        (answer(status="302 Found"), BadAnswer, "HTTP 302"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + BODY, BadAnswer, "no Content-Length"),
        (answer(BODY, "Content-Length: 5"), BadAnswer, "Content-Length"),
        (answer(BODY).replace(b"Content-Length: 6", b"Content-Length: -6"), BadAnswer, "Content-Length"),
        (answer(BODY, "Transfer-Encoding: gzip, chunked"), BadAnswer, "transfer encoding"),
        (answer(BODY, "Content-Encoding: br"), BadAnswer, r"compressed \(br\)"),
        (answer(b"x", "Content-Type: text/html; charset=utf-8"), NotAFile, "HTML page"),
        (answer(b"\n<!-- x --><!DOCTYPE HTML><p>Log in"), NotAFile, "HTML page"),
        (chunked(b"<html", b"><p>Log in"), NotAFile, "HTML page"),
        (answer(), NotAFile, "empty"),
        (chunked(), NotAFile, "empty"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", BadAnswer, "not valid HTTP"),
        (b"", ConnectionBroken, "before the response was complete"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", ConnectionBroken, "before the response was complete"),
        (chunked(b"abc", end=False) + b"zz\r\n", ConnectionBroken, "before the response was complete"),
        (answer(length=10**15), TooLarge, "max_bytes"),
    ],
)  # fmt: skip
def test_refuses_what_is_not_a_file(download, scripted, said, error, words):
    server = scripted(lambda _asked: said)

    with pytest.raises(error, match=words) as caught:
        download.run(f"{server.url}/a.bin")

    assert type(caught.value) is error
    assert download.files() == {}


def test_an_html_page_is_a_file_of_a_manifest_where_the_name_says_so(download, scripted):
    manifest = answer(b'{"files": [{"url": "notes.html"}]}')
    page = answer(b"<html></html>", "Content-Type: text/html")
    server = scripted(lambda asked: manifest if asked.path == "/m.json" else page)

    download.run(f"{server.url}/m.json")

    assert download.files() == {"notes.html": b"<html></html>"}
    with pytest.raises(NotAFile, match="HTML page"):
        download.run(f"{server.url}/notes.html")


def test_an_html_page_is_a_course_where_the_server_sends_it_as_an_attachment(download, scripted):
    server = scripted(
        lambda _asked: answer(b"<html></html>", "Content-Disposition: attachment; filename=a.html")
    )

    download.run(f"{server.url}/notes")

    assert download.files() == {"a.html": b"<html></html>"}


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

    assert caught.value.error_type is ErrorType.REFUSED


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_follows_redirects(download, scripted, status):
    def redirect(asked):
        if asked.path == "/a.bin":
            return answer(b"", "Location: b/ü?x=1#y", status=f"{status} Moved")
        return answer(asked.path.encode())

    server = scripted(redirect)

    download.run(f"{server.url}/a.bin")

    assert download.files() == {"a.bin": b"/b/%C3%BC?x=1"}


def test_sends_a_password_only_to_the_server_that_it_is_for(download, scripted):
    other = scripted(lambda _asked: answer(b"x"))
    server = scripted(lambda _asked: answer(b"", f"Location: {other.url}/b", status="302 Found"))

    download.run(server.url.replace("//", "//us%40er:pa%20ss@") + "/a.bin")

    assert server.asked[0].headers["authorization"] == "Basic dXNAZXI6cGEgc3M="
    assert "authorization" not in other.asked[0].headers


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


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
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
