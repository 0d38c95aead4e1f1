"""Status lines, interim answers and headers as no specification has them, and servers that are slow."""

import time
from collections.abc import Iterator
from itertools import cycle, islice

from orderctl.downloads.errors import BadAnswer, ConnectionBroken, TooSlow
from tests.downloads.lies.row import BODY, ETAG, SIZE, Completes, Fails, Lie, ok, raw
from tests.servers.scripted import Asked

_LENGTH = f"Content-Length: {SIZE}"
_NO_HTTP = Fails((BadAnswer, ConnectionBroken), "not valid HTTP|ended|expected 200", transient=None)


def _head(*lines: str, ends: Completes | Fails | None = None, end: str = "\r\n") -> Lie:
    return Lie(first=raw(*lines, end=end), ends=ends or Completes())


HEADS = {
    "100 before the answer": Lie(first=b"HTTP/1.1 100 Continue\r\n\r\n" + ok(), ends=Completes()),
    "102 before the answer": Lie(first=b"HTTP/1.1 102 Processing\r\n\r\n" + ok(), ends=Completes()),
    "103 before the answer": Lie(
        first=b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" + ok(), ends=Completes()
    ),
    "103 twice, with the headers of a file": Lie(
        first=b'HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\nETag: "9"\r\n\r\n' * 2 + ok(), ends=Completes()
    ),
    "100 and 103 before the answer": Lie(
        first=b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + ok(), ends=Completes()
    ),
    "199 before the answer": Lie(first=b"HTTP/1.1 199 Hm\r\n\r\n" + ok(), ends=Completes()),
    "101 before the answer": Lie(
        first=b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n" + ok(),
        ends=Fails(BadAnswer, "101|not valid"),
    ),
    "100 without an end": Lie(
        first=b"HTTP/1.1 100 Continue\r\n\r\n" * 50_000, ends=Fails((BadAnswer, ConnectionBroken), "too long|valid|ended", transient=None)
    ),
    "103 without an end": Lie(
        first=b"HTTP/1.1 103 Early Hints\r\n\r\n" * 50_000,
        ends=Fails((BadAnswer, ConnectionBroken), "too long|valid|ended", transient=None),
    ),
    "HTTP/0.9": Lie(first=BODY, ends=_NO_HTTP),
    "HTTP/0.9 in lines": Lie(first=b"Welcome to the course\n" * 10, ends=_NO_HTTP),
    "HTTP/1.0 with a length": _head("HTTP/1.0 200 OK", _LENGTH),
    "no phrase": _head("HTTP/1.1 200", _LENGTH),
    "no phrase, but a blank": _head("HTTP/1.1 200 ", _LENGTH),
    "two blanks": _head("HTTP/1.1  200  OK", _LENGTH),
    "a phrase in UTF-8": _head("HTTP/1.1 200 Được", _LENGTH),
    "LF only": _head("HTTP/1.1 200 OK", _LENGTH, end="\n"),
    "HTTP/2 in words": _head("HTTP/2 200", _LENGTH, ends=_NO_HTTP),
    "HTTP/3.7": _head("HTTP/3.7 200 OK", _LENGTH, ends=_NO_HTTP),
    "ICY": _head("ICY 200 OK", _LENGTH, ends=_NO_HTTP),
    "letters for a status": _head("HTTP/1.1 2OO OK", _LENGTH, ends=_NO_HTTP),
    "a status of 4 digits": _head("HTTP/1.1 2000 OK", _LENGTH, ends=_NO_HTTP),
    "a status below zero": _head("HTTP/1.1 -200 OK", _LENGTH, ends=_NO_HTTP),
    "a status of 0": _head("HTTP/1.1 000 OK", _LENGTH, ends=_NO_HTTP),
    "an answer in TLS": Lie(first=b"\x15\x03\x03\x00\x02\x02\x28", ends=_NO_HTTP),
    "lower-case names": _head("HTTP/1.1 200 OK", _LENGTH.lower(), ETAG.lower()),
    "odd-case names": _head("HTTP/1.1 200 OK", f"cOnTeNt-LeNgTh: {SIZE}", 'eTAG: "1"'),
    "no blank after the colon": _head("HTTP/1.1 200 OK", f"Content-Length:{SIZE}"),
    "a blank before the colon": _head("HTTP/1.1 200 OK", f"Content-Length : {SIZE}"),
    "a blank before another colon": _head("HTTP/1.1 200 OK", "Server : x", _LENGTH),
    "a line without a colon": _head("HTTP/1.1 200 OK", "hello there", _LENGTH),
    "a line without a name": _head("HTTP/1.1 200 OK", ": x", _LENGTH),
    "a name that is not in ASCII": _head("HTTP/1.1 200 OK", "Khóa-Học: x", _LENGTH),
    "a value in UTF-8": _head("HTTP/1.1 200 OK", "X-Course: Khóa học", _LENGTH),
    "a value with line separators": _head("HTTP/1.1 200 OK", "X-Odd: a\x0bb\x0cc\x1cd\x85e\u2028f", _LENGTH),
    "a value with a NUL": _head("HTTP/1.1 200 OK", "X-Odd: a\0b", _LENGTH),
    "a line that is folded": _head("HTTP/1.1 200 OK", "X-Odd: a", "\tb", _LENGTH),
    "a first line that is folded": _head("HTTP/1.1 200 OK", " folded: x", _LENGTH),
    "a mail's From line": _head("HTTP/1.1 200 OK", "From nobody", _LENGTH),
    "90 headers": _head("HTTP/1.1 200 OK", *(f"X-{n}: y" for n in range(90)), _LENGTH),
    "150 cookies": _head("HTTP/1.1 200 OK", *(f"Set-Cookie: c{n}=y" for n in range(150)), _LENGTH),
    "a header of 30 KiB": _head("HTTP/1.1 200 OK", "X-Policy: " + "a" * 30_000, _LENGTH),
    "a header of 80 KiB": _head(
        "HTTP/1.1 200 OK", "X-Policy: " + "a" * 80_000, _LENGTH, ends=Fails(BadAnswer, "valid|long")
    ),
    "a status line of 1 MB": _head("HTTP/1.1 200 " + "a" * 10**6, _LENGTH, ends=Fails(BadAnswer, "valid|long")),
    "headers without an end": Lie(
        first=b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200_000, ends=Fails(BadAnswer, "valid|long")
    ),
    "two ETags": Lie(first=ok('ETag: "2"'), ends=Completes()),
    "an ETag of 10 KiB": _head("HTTP/1.1 200 OK", f'ETag: "{"a" * 10_000}"', _LENGTH),
    "an empty ETag": _head("HTTP/1.1 200 OK", 'ETag: ""', _LENGTH),
    "an ETag in UTF-8": _head("HTTP/1.1 200 OK", 'ETag: "bài"', _LENGTH),
    "an ETag with a comma": _head("HTTP/1.1 200 OK", 'ETag: "a, b"', _LENGTH),
    "two Content-Types": Lie(first=ok("Content-Type: video/mp4", "Content-Type: text/plain"), ends=Completes()),
    "a Content-Type without sense": Lie(first=ok("Content-Type: ;;;/==\x01"), ends=Completes()),
    "kept open after the body": Lie(
        first=lambda asked: _then_nothing(asked, ok("Connection: keep-alive", "Keep-Alive: timeout=60")), ends=Completes()
    ),
}  # fmt: skip


def _then_nothing(_asked: Asked, *pieces: bytes) -> Iterator[bytes]:
    yield from pieces
    for _ in range(30):
        time.sleep(0.05)
        yield b""


def _dripping(head: bytes, *drops: bytes) -> Iterator[bytes]:
    yield head
    for drop in islice(cycle(drops), 30):
        time.sleep(0.05)
        yield drop


SLOW = {
    "silent from the start": Lie(
        first=_then_nothing, hurried=True, ends=Fails(TooSlow, "sent nothing", transient=True)
    ),
    "silent in the middle": Lie(
        first=lambda asked: _then_nothing(asked, ok()[:-5]),
        known={"size": SIZE},
        hurried=True,
        ends=Fails(TooSlow, "sent nothing", transient=True),
    ),
    "a head that drips": Lie(
        first=lambda _asked: _dripping(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        hurried=True,
        ends=Fails(TooSlow, "sent nothing|slow", transient=True),
    ),
    "interim answers that drip": Lie(
        first=lambda _asked: _dripping(b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
        hurried=True,
        ends=Fails(TooSlow, "sent nothing|slow", transient=True),
    ),
    "a body that drips": Lie(
        first=lambda _asked: _dripping(ok()[:-SIZE], *(bytes([byte]) for byte in BODY[:30])),
        known={"size": SIZE},
        hurried=True,
        ends=Fails(TooSlow, "sent nothing|slow", transient=True),
    ),
    "trailers that drip": Lie(
        first=lambda _asked: _dripping(
            raw("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"5\r\nabcde\r\n0\r\n"), b"X: y\r\n"
        ),
        known={"size": 5},
        hurried=True,
        ends=Fails(TooSlow, "sent nothing|slow", transient=True),
    ),
}  # fmt: skip
