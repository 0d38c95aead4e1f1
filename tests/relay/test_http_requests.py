"""What the relay answers to HTTP requests, byte by byte, and whether it keeps the connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.relay.conftest import RunningRelay
from tests.relay.wire import ask, chunks, complaint_about_api, request

STATS = "/api/admin/dashboard/stats"
BANKS = "/api/payment/webhook"
CHUNKED = "Transfer-Encoding: chunked"
UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


@pytest.fixture(scope="module")
def relay(lasting_redis) -> Iterator[RunningRelay]:
    """One relay for all tests of this module: none of them may damage it."""
    relay = RunningRelay(lasting_redis.revive().url, "--max-connections-per-address", "0").start()
    yield relay
    assert relay.stop() == 0
    assert relay.close() == ""


class Row(NamedTuple):
    """A request, the status of its answer, and whether the connection is kept (None: either)."""

    data: bytes
    status: int
    kept: bool | None = True
    path: str = ""


def api(method: str, path: str, status: int, *fields: str, kept: bool | None = True, **more: Any) -> Row:
    return Row(request(method, path, *fields, **more), status, kept, path.partition("?")[0])


def old(version: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET /healthz HTTP/{version}", *fields, "", ""]).encode()


REQUESTS = {
    "GET": Row(request("GET", "/healthz"), 200),
    "HEAD": Row(request("HEAD", "/healthz"), 200),
    "OPTIONS": Row(request("OPTIONS", "/healthz"), 204),
    "OPTIONS *": Row(request("OPTIONS", "*"), 204),
    "CONNECT": Row(request("CONNECT", "localhost:443"), 400, None),
    "PUT": Row(request("PUT", "/healthz", body=b"x"), 405),
    "unknown method": Row(request("BREW", "/healthz"), 405),
    "method in lower case": Row(request("get", "/healthz"), 405),
    "query": Row(request("GET", "/healthz?a=b"), 200),
    "fields in lower case": Row(
        b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: Keep-Alive\r\n\r\n", 200
    ),
    "empty lines before": Row(b"\r\n\r\n" + request("GET", "/healthz"), 200),
    "Connection: close": Row(request("GET", "/healthz", "Connection: close"), 200, kept=False),
    "close among others": Row(request("GET", "/healthz", "Connection: x, Close"), 200, kept=False),
    # Paths: what a proxy in front has not seen as this path is not this path.
    "//x/path": Row(request("GET", "//x/metrics"), 404),
    "//path": Row(request("GET", "//metrics"), 404),
    "/./path": Row(request("GET", "/./metrics"), 404),
    "/x/../path": Row(request("GET", "/x/../metrics"), 404),
    "path/": Row(request("GET", "/metrics/"), 404),
    "path in other case": Row(request("GET", "/Metrics"), 404),
    "path;x": Row(request("GET", "/metrics;x"), 404),
    "percent-encoded path": Row(request("GET", "/%6detrics"), 404),
    "percent-encoded slash": Row(request("GET", "/%2fmetrics"), 404),
    "backslash": Row(request("GET", "/\\metrics"), 404),
    "path#x": Row(request("GET", "/metrics#x"), 400, None),
    "path%23x": Row(request("GET", "/metrics%23x"), 404),
    "//x/api/": Row(request("GET", f"//x{STATS}"), 404),
    "//ws": Row(request("GET", "//ws"), 404),
    "URL": Row(request("GET", "http://localhost/healthz"), 200),
    "URL without a path": Row(request("GET", "http://localhost"), 200),
    "URL of another host": Row(request("GET", "http://evil.example/healthz"), 421),
    "URL with a user": Row(request("GET", "http://localhost@evil.example/healthz"), 421),
    "URL of another scheme": Row(request("GET", "ftp://localhost/healthz"), 400, None),
    "target without a slash": Row(request("GET", "healthz"), 400, None),
    # Hosts.
    "no Host": Row(b"GET /healthz HTTP/1.1\r\n\r\n", 400, kept=False),
    "two Hosts": Row(request("GET", "/healthz", "Host: localhost"), 400, kept=False),
    "two different Hosts": Row(request("GET", "/healthz", "Host: evil.example"), 400, kept=False),
    "other Host": Row(request("GET", "/healthz", host="evil.example"), 421),
    # Versions.
    "HTTP/1.0": Row(old("1.0"), 200, kept=False),
    "HTTP/1.0 with Host": Row(old("1.0", "Host: localhost"), 200, kept=False),
    "HTTP/1.0, keep-alive": Row(old("1.0", "Connection: keep-alive"), 200, None),
    "HTTP/1.0, chunked": Row(old("1.0", CHUNKED) + chunks(), 400, kept=False),
    "HTTP/2.0": Row(old("2.0", "Host: localhost"), 505, kept=False),
    "HTTP/0.9": Row(b"GET /healthz\r\n\r\n", 400, kept=False),
    # Bodies.
    "GET with a body": Row(request("GET", "/healthz", body=b"x" * 1000), 200),
    "HEAD with a body": Row(request("HEAD", "/healthz", body=b"x" * 1000), 200),
    "a request as a body": Row(request("GET", "/healthz", body=request("GET", "/metrics")), 200),
    "chunked body": Row(request("GET", "/healthz", CHUNKED) + chunks(b"ab", b"c"), 200),
    "chunk extension": Row(request("GET", "/healthz", CHUNKED) + b'1;a="b c"\r\nx\r\n0;x\r\n\r\n', 200),
    "trailers": Row(
        request("GET", "/healthz", CHUNKED) + chunks(b"a", end=b"0\r\nX: y\r\nHost: z\r\n\r\n"), 200
    ),
    "empty body": Row(request("GET", "/healthz", "Content-Length: 0"), 200),
    "wrong chunk size": Row(request("GET", "/healthz", CHUNKED) + b"x\r\n", 400, kept=False),
    "negative chunk size": Row(request("GET", "/healthz", CHUNKED) + b"-1\r\n", 400, kept=False),
    "chunk without an end": Row(request("GET", "/healthz", CHUNKED) + b"1\r\nxy\r\n", 400, kept=False),
    "chunked and a length": Row(request("GET", "/healthz", CHUNKED, body=b"x"), 400, kept=False),
    "two lengths": Row(request("GET", "/healthz", "Content-Length: 2", body=b"x"), 400, kept=False),
    "list of lengths": Row(request("GET", "/healthz", "Content-Length: 1, 2") + b"x", 400, kept=False),
    "negative length": Row(request("GET", "/healthz", "Content-Length: -1"), 400, kept=False),
    "length with a sign": Row(request("GET", "/healthz", "Content-Length: +1") + b"x", 400, kept=False),
    "length with digits of another script": Row(
        request("GET", "/healthz", "Content-Length: \xb2"), 400, kept=False
    ),
    "gzip coding": Row(request("GET", "/healthz", "Transfer-Encoding: gzip"), 501, kept=False),
    "gzip, chunked": Row(request("GET", "/healthz", "Transfer-Encoding: gzip, chunked"), 501, kept=False),
    "chunked twice": Row(request("GET", "/healthz", CHUNKED, CHUNKED) + chunks(), 501, kept=False),
    "space before the colon": Row(request("GET", "/healthz", "Transfer-Encoding : chunked"), 400, kept=False),
    "large body": Row(request("GET", "/healthz", "Content-Length: 99999999"), 413, kept=False),
    "large chunks": Row(request("GET", "/healthz", CHUNKED) + chunks(*[b"x" * 16_000] * 9), 413, kept=False),
    # Expect.
    "Expect": Row(request("POST", "/healthz", "Expect: 100-continue", body=b"x"), 405),
    # Heads.
    "16 KiB": Row(request("GET", "/healthz", "X: " + "x" * 16_000), 200),
    "17 KiB": Row(request("GET", "/healthz", "X: " + "x" * 17_000), 431, kept=False),
    "1,000 fields": Row(request("GET", "/healthz", *["a: b"] * 1000), 200),
    "5,000 fields": Row(request("GET", "/healthz", *["a: b"] * 5000), 431, kept=False),
    "long target": Row(request("GET", "/" + "x" * 17_000), 431, kept=False),
    "NUL": Row(request("GET", "/healthz", "X: a\0b"), 400, kept=False),
    "bare CR": Row(request("GET", "/healthz", "X: a\rb"), 400, kept=False),
    "no colon": Row(request("GET", "/healthz", "x"), 400, kept=False),
    "no name": Row(request("GET", "/healthz", ": x"), 400, kept=False),
    "space in the target": Row(request("GET", "/heal thz"), 400, kept=False),
    "byte above 127 in the target": Row(request("GET", "/\xe9"), 400, kept=False),
    "too many parameters": Row(request("GET", f"{STATS}?" + "a&" * 100), 400, None),
    # HEAD: no body, also where it is refused before it is read whole.
    "HEAD malformed": Row(request("HEAD", "/healthz", "no colon"), 400, kept=False),
    "HEAD with two Hosts": Row(request("HEAD", "/healthz", "Host: x"), 400, kept=False),
    "HEAD with two lengths": Row(request("HEAD", "/healthz", CHUNKED, body=b"x"), 400, kept=False),
    "HEAD with a wrong length": Row(request("HEAD", "/healthz", "Content-Length: +1"), 400, kept=False),
    "HEAD with a wrong chunk": Row(request("HEAD", "/healthz", CHUNKED) + b"x\r\n", 400, kept=False),
    "HEAD with a fragment": Row(request("HEAD", "/metrics#x"), 400, None),
    "HEAD 413": Row(request("HEAD", "/healthz", "Content-Length: 99999999"), 413, kept=False),
    "HEAD 431": Row(request("HEAD", "/healthz", "X: " + "x" * 17_000), 431, kept=False),
    "HEAD 431 by fields": Row(request("HEAD", "/healthz", *["a: b"] * 5000), 431, kept=False),
    "HEAD 505": Row(request("HEAD", "/healthz").replace(b"1.1", b"2.0"), 505, kept=False),
    # The API: each error is JSON with data.
    "API 404": api("GET", "/api/admin/nothing", 404),
    "API 404 of logs": api("GET", "/api/admin/orders/x/logs", 404),
    "API root": api("GET", "/api/", 404),
    "API of banks": api("POST", BANKS, 404, body=b"{}"),
    "API of banks, GET": api("GET", f"{BANKS}/plain", 404),
    "API of banks, PUT": api("PUT", f"{BANKS}/", 404, body=b"{}"),
    "API of banks, OPTIONS": api("OPTIONS", BANKS, 204),
    "API of banks, 403": api("POST", BANKS, 403, "Origin: https://evil.example", body=b"{}"),
    "API of banks, 413": api("POST", BANKS, 413, "Content-Length: 99999999", kept=False),
    "API of banks, 421": api("POST", BANKS, 421, body=b"{}", host="evil.example"),
    "API 405": api("PUT", "/api/admin/orders/paid", 405, body=b"{}"),
    "API POST": api("POST", STATS, 405, "X-Orderctl-Action: 1", body=b"{}"),
    "API 400": api("GET", "/api/admin/orders/paid?limit=x", 400),
    "API 403": api("GET", STATS, 403, "Origin: https://evil.example"),
    "API 413": api("GET", STATS, 413, "Content-Length: 99999999", kept=False),
    "API 413 of logs": api("GET", "/api/admin/orders/1/logs", 413, "Content-Length: 999999", kept=False),
    "API 421": api("GET", STATS, 421, host="evil.example"),
    "API 400 for parameters": api("GET", "/api/admin/orders/paid?" + "a&" * 100, 400, kept=None),
    "API 400 in lower case": api("get", "/api/admin/dashboard/stats", 400, "Odd Name: x", kept=False),
    "API 431": api("GET", "/api/admin/orders/paid", 431, "X: " + "x" * 17_000, kept=False),
    "API malformed": api("GET", "/api/admin/errors", 400, "no colon", kept=False),
    "API two lengths": api("GET", STATS, 400, "Content-Length: 2", body=b"x", kept=False),
    "API 501": api("GET", STATS, 501, "Transfer-Encoding: gzip", kept=False),
    # Upgrades.
    "upgrade by HEAD": Row(request("HEAD", "/ws", *UPGRADE), 405),
    "upgrade by another method": Row(request("PUT", "/ws", *UPGRADE), 405),
    "no upgrade": Row(request("GET", "/ws"), 426),
    "upgrade to something else": Row(request("GET", "/ws", "Upgrade: h2c", "Connection: Upgrade"), 426),
    "upgrade elsewhere": Row(request("GET", "/healthz", "Upgrade: websocket", "Connection: Upgrade"), 200),
    "upgrade without a key": Row(request("GET", "/ws", "Upgrade: websocket", "Connection: Upgrade"), 400),
    "polling": Row(request("GET", "/socket.io/?EIO=4&transport=polling"), 400),
}


@pytest.mark.parametrize("row", REQUESTS.values(), ids=REQUESTS.keys())
def test_a_request_is_answered(relay: RunningRelay, row: Row):
    answer, kept = ask(relay.port, row.data)

    assert (answer.status, kept if row.kept is not None else None) == (row.status, row.kept)
    if row.path:
        assert complaint_about_api(answer, row.path) is None
    elif answer.status >= 400 and not row.data.startswith(b"HEAD"):
        assert answer.json["error" if row.data[4:15] != b"/socket.io/" else "message"]
