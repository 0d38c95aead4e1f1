"""The connection broke in the middle. Each of these answers to the request for the rest is a lie or a refusal."""

from orderctl.downloads.errors import BadAnswer, ChecksumMismatch, ConnectionBroken, StatusRefused
from tests.downloads.lies.row import BODY, ETAG, HALF, SIZE, Completes, Fails, Lie, ok, raw, rest
from tests.servers.scripted import RESET, answer, chunked

_WHOLLY = Completes(wholly=True)
#: The network or the whole server may be to blame: the part is kept for some attempts.
_AT_LAST = Completes(wholly=True, attempts=4)
_PAGE = b"<!DOCTYPE html><html><p>Range is not supported</p></html>"


def _refused(status: str, *headers: str, body: bytes = _PAGE) -> Lie:
    return Lie(ranged=answer(body, "Content-Type: text/html", *headers, status=status), ends=_WHOLLY)


_STATUSES = {
    f"Range is answered {status}": _refused(status)
    for status in (
        "400 Bad Request",
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "405 Method Not Allowed",
        "406 Not Acceptable",
        "409 Conflict",
        "410 Gone",
        "411 Length Required",
        "412 Precondition Failed",
        "415 Unsupported Media Type",
        "416 Range Not Satisfiable",
        "417 Expectation Failed",
        "418 I'm a Teapot",
        "421 Misdirected Request",
        "431 Request Header Fields Too Large",
        "451 Unavailable For Legal Reasons",
        "499 Client Closed Request",
        "500 Internal Server Error",
        "501 Not Implemented",
        "505 HTTP Version Not Supported",
    )
} | {
    f"Range is answered {status}": Lie(ranged=answer(b"", status=status), ends=_AT_LAST)
    for status in (
        "429 Too Many Requests",
        "502 Bad Gateway",
        "503 Busy",
        "504 Gateway Timeout",
        "520 Hm",
        "202 Accepted",
    )
}

RANGES = _STATUSES | {
    "416 with the right total": _refused("416 Range Not Satisfiable", f"Content-Range: bytes */{SIZE}"),
    "416 with another total": _refused("416 Range Not Satisfiable", "Content-Range: bytes */5"),
    "Range is answered 204": Lie(ranged=raw("HTTP/1.1 204 No Content", body=b""), ends=_WHOLLY),
    "Range is answered 205": Lie(ranged=answer(b"", status="205 Reset Content"), ends=_WHOLLY),
    "If-Range is taken for If-None-Match: 304": Lie(
        ranged=raw("HTTP/1.1 304 Not Modified", ETAG, body=b""), ends=_WHOLLY
    ),
    "Range is redirected to a page": Lie(
        ranged=answer(b"", "Location: /login", status="302 Found"),
        first=lambda asked: ok("Content-Type: text/html", body=_PAGE) if asked.path == "/login" else ok(),
        ends=_WHOLLY,
    ),
    "Range is redirected in a circle": Lie(
        ranged=answer(b"", "Location: /a.bin", status="302 Found"), ends=_WHOLLY
    ),
    "Range is redirected without a location": Lie(ranged=answer(b"", status="302 Found"), ends=_WHOLLY),
    "Range is redirected to another scheme": Lie(
        ranged=answer(b"", "Location: ftp://127.0.0.1/a.bin", status="302 Found"), ends=_WHOLLY
    ),
    "Range is answered with a page and 200": Lie(
        ranged=answer(_PAGE, "Content-Type: text/html"), ends=_WHOLLY
    ),
    "Range is answered with a page, 200 and the label of a file": Lie(
        ranged=answer(_PAGE, "Content-Type: application/octet-stream"), ends=_WHOLLY
    ),
    "200 with the rest only": Lie(ranged=answer(BODY[HALF:], ETAG), ends=_WHOLLY),
    "200 with the rest only and no ETag": Lie(ranged=answer(BODY[HALF:]), ends=_WHOLLY),
    "200 with the rest only and its range": Lie(ranged=rest(ETAG, status="200 OK"), ends=_WHOLLY),
    "200 with the rest only, chunked": Lie(
        ranged=chunked(BODY[HALF:], headers=f"{ETAG}\r\n"), ends=_WHOLLY
    ),
    "200 with the rest only, chunked, no ETag": Lie(ranged=chunked(BODY[HALF:]), ends=_WHOLLY),
    "200 with the rest only, until the connection ends": Lie(
        ranged=raw("HTTP/1.1 200 OK", ETAG, body=BODY[HALF:]), ends=_WHOLLY
    ),
    "200 with the rest only, of a file in a manifest": Lie(
        ranged=answer(BODY[HALF:], ETAG), known={"size": SIZE}, ends=_WHOLLY
    ),
    "200 with the whole file": Lie(ranged=ok(), ends=Completes()),
    "200 with the whole file from another server of a pool": Lie(
        ranged=answer(BODY, 'ETag: "2"'), ends=Completes()
    ),
    "200 with the whole file and its range": Lie(
        ranged=ok(f"Content-Range: bytes 0-{SIZE - 1}/{SIZE}"), ends=Completes()
    ),
    "200 with the whole file, chunked": Lie(
        ranged=chunked(BODY, headers=f"{ETAG}\r\n"), ends=Completes()
    ),
    "200 with nothing": Lie(ranged=answer(b"", ETAG), ends=_WHOLLY),
    "200 and gzip": Lie(ranged=ok("Content-Encoding: gzip"), ends=Completes()),
    "206 with nothing": Lie(ranged=answer(b"", ETAG, status="206 Partial Content"), ends=_WHOLLY),
    "206 of another range": Lie(ranged=rest(ETAG, start=HALF - 1), ends=_WHOLLY),
    "206 of the first half": Lie(
        ranged=answer(
            BODY[:HALF], ETAG, f"Content-Range: bytes 0-{HALF - 1}/{SIZE}", status="206 Partial Content"
        ),
        ends=_WHOLLY,
    ),
    "206 of less than was asked for": Lie(
        ranged=answer(
            BODY[HALF : HALF + 100],
            ETAG,
            f"Content-Range: bytes {HALF}-{HALF + 99}/{SIZE}",
            status="206 Partial Content",
        ),
        ends=Completes(),
    ),
    "206 with another total": Lie(ranged=rest(ETAG, total=SIZE + 1), ends=_WHOLLY),
    "206 with an unknown total": Lie(ranged=rest(ETAG, total="*"), ends=Completes()),
    "206 with an endless total": Lie(ranged=rest(ETAG, total="9" * 5000), ends=_WHOLLY),
    "206 without a range": Lie(
        ranged=answer(BODY[HALF:], ETAG, status="206 Partial Content"), ends=_WHOLLY
    ),
    "206 with two ranges": Lie(ranged=rest(ETAG, f"Content-Range: bytes 0-5/{SIZE}"), ends=_WHOLLY),
    "206 in another unit": Lie(
        ranged=answer(BODY[HALF:], ETAG, f"Content-Range: items {HALF}-{SIZE - 1}/{SIZE}", status="206 P"),
        ends=_WHOLLY,
    ),
    "206 of another version": Lie(ranged=rest('ETag: "2"'), ends=_WHOLLY),
    "206 of a weak version": Lie(ranged=rest('ETag: W/"1"'), ends=Completes()),
    "206 without a version": Lie(ranged=rest(), ends=Completes()),
    "206 and gzip": Lie(ranged=rest(ETAG, "Content-Encoding: gzip"), ends=Completes()),
    "206 as a page": Lie(ranged=rest(ETAG, "Content-Type: text/html"), ends=Completes()),
    "206 in many parts": Lie(
        ranged=answer(
            f"--x\r\nContent-Range: bytes {HALF}-{SIZE - 1}/{SIZE}\r\n\r\n".encode() + BODY[HALF:] + b"\r\n--x--",
            ETAG,
            "Content-Type: multipart/byteranges; boundary=x",
            status="206 Partial Content",
        ),
        ends=_WHOLLY,
    ),
    "206 in many parts that claims to be one": Lie(
        ranged=answer(
            b"\r\n--x\r\n" + b"\0" * (HALF - 7),
            ETAG,
            f"Content-Range: bytes {HALF}-{SIZE - 1}/{SIZE}",
            "Content-Type: multipart/byteranges; boundary=x",
            status="206 Partial Content",
        ),
        ends=_WHOLLY,
    ),
    "206 in many parts, to a request for the whole file": Lie(
        first=answer(
            b"\0" * SIZE,
            f"Content-Range: bytes 0-{SIZE - 1}/{SIZE}",
            "Content-Type: multipart/byteranges; boundary=x",
            status="206 Partial Content",
        ),
        ends=Fails(BadAnswer, "206"),
    ),
    "206, chunked": Lie(
        ranged=chunked(BODY[HALF:], headers=f"{ETAG}\r\nContent-Range: bytes {HALF}-{SIZE - 1}/{SIZE}\r\n").replace(
            b"200 OK", b"206 Partial Content", 1
        ),
        ends=Completes(),
    ),
    "206 with a longer Content-Length": Lie(
        ranged=answer(
            BODY[HALF:],
            ETAG,
            f"Content-Range: bytes {HALF}-{SIZE - 1}/{SIZE}",
            status="206 Partial Content",
            length=SIZE,
        ),
        ends=_WHOLLY,
    ),
    "206 with other bytes, against a checksum": Lie(
        ranged=rest(ETAG).replace(BODY[HALF:], b"\0" * HALF), known={"sha256": True}, ends=_WHOLLY
    ),
    "206 with other bytes each time, against a checksum": Lie(
        first=answer(b"\0" * SIZE, ETAG),
        ranged=rest(ETAG).replace(BODY[HALF:], b"\0" * HALF),
        known={"sha256": True},
        ends=Fails(ChecksumMismatch, "SHA-256"),
    ),
    "Range is not answered at all": Lie(ranged=b"", ends=_AT_LAST),
    "Range is answered with a reset": Lie(ranged=lambda _asked: iter([RESET]), ends=_AT_LAST),
    "Range is answered with half a head": Lie(ranged=b"HTTP/1.1 206 Par", ends=_AT_LAST),
    "Range is answered with junk": Lie(ranged=b"\x15\x03\x01\x00\x02\x02F", ends=_AT_LAST),
    "the rest breaks, too": Lie(
        ranged=lambda asked: rest(ETAG)[: -HALF // 2] if asked.count == 2 else ok(), ends=Completes()
    ),
    "the server is busy after the break": Lie(
        first=answer(status="503 Service Unavailable"),
        ranged=answer(b"", "Retry-After: 60", status="503 Service Unavailable"),
        known={"size": SIZE},
        ends=Fails(StatusRefused, "HTTP 503", transient=True, waits=(50, 61)),
    ),
    "the server limits the rate after the break": Lie(
        first=answer(b"", "Retry-After: 60", status="429 Too Many Requests"),
        ranged=answer(b"", "Retry-After: 60", status="429 Too Many Requests"),
        known={"size": SIZE},
        ends=Fails(StatusRefused, "HTTP 429", transient=True, waits=(50, 61)),
    ),
    "the server is gone after the break": Lie(
        first=b"", ranged=b"", known={"size": SIZE}, ends=Fails(ConnectionBroken, "ended", transient=True)
    ),
}  # fmt: skip

#: The file is complete since the last attempt, and the server is asked whether it has changed.
CONDITIONS = {
    "If-None-Match is answered 412": Lie(
        conditional=answer(b"", status="412 Precondition Failed"), ends=Completes()
    ),
    "If-None-Match is answered 400": Lie(conditional=answer(b"", status="400 Bad Request"), ends=Completes()),
    "If-None-Match is answered 500": Lie(conditional=answer(b"", status="500 Oops"), ends=Completes()),
    "If-None-Match is answered 501": Lie(
        conditional=answer(b"", status="501 Not Implemented"), ends=Completes()
    ),
    "If-None-Match is answered with the file": Lie(conditional=ok(), ends=Completes()),
    "If-None-Match is answered with junk": Lie(conditional=b"\0\0\0\0", ends=Completes()),
    "If-None-Match is not answered at all": Lie(conditional=b"", ends=Completes()),
    "If-None-Match is redirected in a circle": Lie(
        conditional=answer(b"", "Location: /a.bin", status="302 Found"), ends=Completes()
    ),
    "304 with a body": Lie(
        conditional=raw("HTTP/1.1 304 Not Modified", ETAG, "Content-Length: 5", body=b"12345"), ends=Completes()
    ),
}  # fmt: skip
