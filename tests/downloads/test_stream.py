"""Reading an answer: endless, dripping and silent servers, and stops meanwhile."""

from itertools import count, repeat

import pytest

from orderctl.downloads.errors import (
    BadAnswer,
    ConnectionBroken,
    TooLarge,
    TooSlow,
)
from orderctl.downloads.http import HttpHandler
from orderctl.states import ErrorType
from tests.downloads.conftest import one_file
from tests.servers.scripted import answer, chunked


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
def test_an_answer_that_comes_byte_by_byte_is_too_slow(download, scripted, stage):
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

    with pytest.raises(TooSlow, match=r"0\.2 s \(download\.timeout_seconds\)"):
        HttpHandler(reserve=0).download(context, one_file(context.course_url))


def test_a_slow_server_that_is_fast_enough_is_not_too_slow(download, scripted, monkeypatch):
    """On a clock on which each wait for the server lasts 0.05 s: the rate is looked at three times."""
    download.settings["download.min_bytes_per_second"] = "200"
    looks = count()
    monkeypatch.setattr("orderctl.downloads.stream.monotonic", lambda: 0.05 * next(looks))

    def trickle(asked):
        yield answer(length=6000)
        for _ in range(60):
            server.gone.wait(0.02)
            yield b"x" * 100

    server = scripted(trickle)

    download.run(f"{server.url}/a.bin", handler=HttpHandler(window=1, reserve=0))

    assert download.files() == {"a.bin": b"x" * 6000}


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
