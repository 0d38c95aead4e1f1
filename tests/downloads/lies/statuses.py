"""Statuses, and how long the server asks to wait."""

import datetime as dt
from email.utils import format_datetime

from orderctl.downloads.errors import BadAnswer, DownloadError, StatusRefused
from tests.downloads.lies.row import ETAG, Completes, Fails, Lie, ok, raw
from tests.servers.scripted import answer

_JSON = "Content-Type: application/json"


def _status(status: str, *headers: str, ends: Completes | Fails) -> Lie:
    return Lie(first=answer(b'{"error": "no"}', _JSON, *headers, status=status), ends=ends)


def _passing(status: str) -> Lie:
    return _status(status, ends=Fails(StatusRefused, f"HTTP {status[:3]}", transient=True))


def _lasting(status: str) -> Lie:
    return _status(status, ends=Fails(StatusRefused, f"HTTP {status[:3]}"))


_SUCCESSES = {
    f"{status} is a success": Lie(first=ok().replace(b"200 OK", status.encode(), 1), ends=Completes())
    for status in ("200 Fine", "203 Non-Authoritative Information", "203 ")
}
_ODD = {
    "202, the file is being prepared": Lie(
        first=answer(b"", status="202 Accepted"), ends=Fails(DownloadError, "202", transient=True)
    ),
    "202 with a word when to come again": Lie(
        first=answer(b"", "Retry-After: 60", status="202 Accepted"),
        ends=Fails(DownloadError, "202", transient=True, waits=(50, 61)),
    ),
    "204": Lie(first=raw("HTTP/1.1 204 No Content", body=b""), ends=Fails(BadAnswer, "204")),
    "204 with a length": Lie(
        first=raw("HTTP/1.1 204 No Content", "Content-Length: 5", body=b"12345"), ends=Fails(BadAnswer, "204")
    ),
    "205": Lie(first=answer(b"", status="205 Reset Content"), ends=Fails(BadAnswer, "205")),
    "206 of some of it, unasked": Lie(
        first=answer(b"12345", "Content-Range: bytes 0-4/10", status="206 Partial Content"), ends=Fails(BadAnswer, "206")
    ),
    "299": Lie(first=ok().replace(b"200 OK", b"299 Hm", 1), ends=Fails(BadAnswer, "299")),
    "300 without a location": Lie(
        first=answer(b"", status="300 Multiple Choices"), ends=Fails(BadAnswer, "300")
    ),
    "302 without a location": Lie(first=answer(b"", status="302 Found"), ends=Fails(BadAnswer, "302")),
    "304, unasked": Lie(
        first=raw("HTTP/1.1 304 Not Modified", ETAG, body=b""), ends=Fails(BadAnswer, "304")
    ),
    "503 whose body is coded in an unknown way": Lie(
        first=answer(b"", "Transfer-Encoding: gzip", status="503 Busy"), ends=Fails(StatusRefused, "503", transient=True)
    ),
    "503 with two lengths": Lie(
        first=answer(b"", "Content-Length: 5", status="503 Busy"), ends=Fails(StatusRefused, "503", transient=True)
    ),
    "600": Lie(first=answer(b"", status="600 Hm"), ends=Fails(DownloadError, "600", transient=True)),
    "999": Lie(first=answer(b"", status="999 Denied"), ends=Fails(DownloadError, "999", transient=True)),
}  # fmt: skip

STATUSES = (
    _SUCCESSES
    | _ODD
    | {
        status: _passing(status)
        for status in (
            "408 Request Timeout",
            "423 Locked",
            "425 Too Early",
            "429 Too Many Requests",
            "500 Internal Server Error",
            "502 Bad Gateway",
            "503 Service Unavailable",
            "504 Gateway Timeout",
            "507 Insufficient Storage",
            "509 Bandwidth Limit Exceeded",
            "521 Web Server Is Down",
            "530 Origin DNS Error",
        )
    }
    | {
        status: _lasting(status)
        for status in (
            "400 Bad Request",
            "401 Unauthorized",
            "402 Payment Required",
            "403 Forbidden",
            "404 Not Found",
            "405 Method Not Allowed",
            "407 Proxy Authentication Required",
            "410 Gone",
            "418 I'm a Teapot",
            "451 Unavailable For Legal Reasons",
            "501 Not Implemented",
            "505 HTTP Version Not Supported",
        )
    }
)

_MINUTE = (50.0, 61.0)
_LONG = (86400.0, float("inf"))


def _in(seconds: int, form: str) -> str:
    moment = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
    return format_datetime(moment, usegmt=True) if form == "imf" else moment.strftime(form)


def _later(value: object, waits: tuple[float, float] | None, status: str = "503 Busy", *more: str) -> Lie:
    """A row whose value may be a function, called at the time of the request."""

    def first(_asked: object) -> bytes:
        said = value() if callable(value) else value
        return answer(b"busy", f"Retry-After: {said}", *more, status=status)

    return Lie(first=first, ends=Fails(StatusRefused, f"HTTP {status[:3]}", transient=True, waits=waits))


WAITS = {
    "Retry-After: 60": _later("60", _MINUTE),
    "Retry-After: 60 with 429": _later("60", _MINUTE, "429 Too Many Requests"),
    "Retry-After: 60 with 500": _later("60", _MINUTE, "500 Oops"),
    "Retry-After: 60 with 403": _later("60", _MINUTE, "403 Forbidden"),
    "Retry-After: 60 with 413": _later("60", _MINUTE, "413 Content Too Large"),
    "Retry-After among blanks": _later("  60  ", _MINUTE),
    "Retry-After: 060": _later("060", _MINUTE),
    "Retry-After: 0": _later("0", None),
    "Retry-After as a date": _later(lambda: _in(60, "imf"), _MINUTE),
    "Retry-After as a date of RFC 850": _later(lambda: _in(60, "%A, %d-%b-%y %H:%M:%S GMT"), _MINUTE),
    "Retry-After as a date of C's asctime": _later(lambda: _in(60, "%a %b %e %H:%M:%S %Y"), _MINUTE),
    "Retry-After as a date that has passed": _later(lambda: _in(-60, "imf"), None),
    "Retry-After by a clock that is an hour behind": Lie(
        first=lambda _asked: answer(
            b"", f"Date: {_in(-3600, 'imf')}", f"Retry-After: {_in(-3540, 'imf')}", status="503 Busy"
        ),
        ends=Fails(StatusRefused, "HTTP 503", transient=True, waits=_MINUTE),
    ),
    "Retry-After: soon": _later("soon", None),
    "Retry-After without a value": _later("", None),
    "Retry-After: -60": _later("-60", None),
    "Retry-After in Arabic digits": _later("٦٠", None),
    "Retry-After: 60 s": _later("60 s", None),
    "Retry-After of 400 digits": _later("9" * 400, _LONG),
    "Retry-After of 5000 digits": _later("9" * 5000, _LONG),
    "Retry-After in the year 9999": _later("Fri, 31 Dec 9999 23:59:59 GMT", _LONG),
    "Retry-After in the year 99999": _later("Fri, 31 Dec 99999 23:59:59 GMT", None),
    "Retry-After on February 30": _later("Tue, 30 Feb 2027 00:00:00 GMT", None),
    "Retry-After twice": _later("60", _MINUTE, "503 Busy", "Retry-After: 60"),
    "Retry-After twice, differently": _later("5", _MINUTE, "503 Busy", "Retry-After: 60", "Retry-After: soon"),
}  # fmt: skip
