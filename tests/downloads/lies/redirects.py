"""Where redirects lead, and which cookies go with them."""

from collections.abc import Callable

from orderctl.downloads.errors import BadAnswer, DownloadError, HostUnreachable, UrlRefused
from tests.downloads.lies.row import BODY, HALF, Completes, Fails, Lie, honest, ok
from tests.servers.scripted import Asked, answer

Redirects = Callable[[Asked], bytes]


def _port(asked: Asked) -> str:
    return asked.headers["host"].rpartition(":")[2]


def _to(location: str, *headers: str, status: str = "302 Found") -> Redirects:
    """Redirect /a.bin; anything else is the file. ``PORT`` in the location is the server's own."""

    def script(asked: Asked) -> bytes:
        if asked.path != "/a.bin" or not asked.headers["host"].startswith("127.0.0.1:"):
            return honest(asked)
        return answer(
            b"moved", f"Location: {location.replace('PORT', _port(asked))}", *headers, status=status
        )

    return script


def _only_at(path: str, location: str, host: str = "") -> Redirects:
    """Redirect, and send the file only to a request for exactly that path at that host."""
    redirect = _to(location)

    def script(asked: Asked) -> bytes:
        said = redirect(asked)
        arrived = asked.path == path and asked.headers["host"].startswith(host)
        return said if arrived or b"302 Found" in said[:20] else answer(b"", status="404 Not Found")

    return script


def _goes(location: str, path: str = "/b.bin", host: str = "") -> Lie:
    return Lie(first=_only_at(path, location, host), ends=Completes())


def _astray(location: str, words: str, error: type[DownloadError] = UrlRefused) -> Lie:
    return Lie(first=_to(location), ends=Fails(error, words))


def _nameless(location: str) -> Lie:
    """A host that cannot exist: it is refused, or it is not found."""
    ends = Fails((UrlRefused, HostUnreachable), "malformed|resolve", transient=None)
    return Lie(first=_to(location), ends=ends)


REDIRECTS = {
    "to a path": _goes("/b.bin"),
    "to a relative path": _goes("b.bin"),
    "to a path above": _goes("../../b.bin"),
    "to a path with blanks": _goes("/b c.bin", "/b%20c.bin"),
    "to a path among blanks": _goes("  /b.bin  "),
    "to a path in UTF-8": _goes("/bài.bin", "/b%C3%A0i.bin"),
    "to a path that is escaped": _goes("/b%c3%a0i%2F1.bin", "/b%c3%a0i%2F1.bin"),
    "to a path with a lonely percent sign": _goes("/100%.bin", "/100%.bin"),
    "to a query": _goes("?x=1&y=a b", "/a.bin?x=1&y=a%20b"),
    "with a fragment": _goes("/b.bin#part", "/b.bin"),
    "without a scheme": _goes("//127.0.0.1:PORT/b.bin"),
    "in capitals": _goes("HTTP://127.0.0.1:PORT/b.bin"),
    "with a password": _goes("http://u:p@127.0.0.1:PORT/b.bin"),
    "to an international name": _goes("http://bücher.test:PORT/b.bin", host="xn--bcher-kva.test"),
    "to an international name in capitals": _goes("http://BÜCHER.test:PORT/b.bin", host="xn--bcher-kva.test"),
    "to an international name that is escaped": _goes("http://b%C3%BCcher.test:PORT/b.bin", host="xn--bcher-kva.test"),
    "to a name with a sharp s": _goes("http://straße.test:PORT/b.bin", host="xn--strae-oqa.test"),
    "to a Vietnamese name": _goes("http://khóahọc.test:PORT/b.bin", host="xn--khahc-1ta0164c.test"),
    "to a name with an ideographic full stop": _goes("http://bücher。test:PORT/b.bin", host="xn--bcher-kva.test"),
    "to a name in ASCII already": _goes("http://xn--bcher-kva.test:PORT/b.bin", host="xn--bcher-kva.test"),
    "to a name with an underscore": _goes("http://my_courses.test:PORT/b.bin", host="my_courses.test"),
    "to a name with a dot at its end": _goes("http://courses.test.:PORT/b.bin", host="courses.test"),
    "10 in a row": Lie(
        first=lambda asked: _hop(asked, 10), ends=Completes()
    ),
    "11 in a row": Lie(first=lambda asked: _hop(asked, 11), ends=Fails(UrlRefused, "more than 10 times")),
    "to itself": _astray("/a.bin", "more than 10 times"),
    "in a circle of two": Lie(
        first=lambda asked: answer(b"", f"Location: {'/b' if asked.path == '/a.bin' else '/a.bin'}", status="307 X"),
        ends=Fails(UrlRefused, "more than 10 times"),
    ),
    "to ever longer paths": Lie(
        first=lambda asked: answer(b"", f"Location: {asked.path}/x", status="302 Found"),
        ends=Fails(UrlRefused, "more than 10 times"),
    ),
    "to a file of the machine": _astray("file:///etc/passwd", "not file:"),
    "to a script": _astray("javascript:alert(1)", "not javascript:"),
    "to data": _astray("data:text/plain,hello", "not data:"),
    "to a host with a blank": _astray("http://a b.test/", "forbidden|malformed"),
    "to a port that cannot be": _astray("http://127.0.0.1:99999/", "malformed"),
    "to a port in letters": _astray("http://127.0.0.1:http/", "malformed"),
    "to half an IPv6 address": _astray("http://[::1", "malformed"),
    "to a host behind a backslash": _astray("http://127.0.0.1\\@evil.test/", "malformed"),
    "to a name of 300 letters": _nameless(f"http://{'a' * 300}.test/"),
    "to an international name that cannot be": _nameless("http://xn--ü.test:PORT/"),
    "to nowhere": _astray("", "302", BadAnswer),
    "to two places alike": Lie(first=_to("/b.bin", "Location: /b.bin"), ends=Completes()),
    "with a page": Lie(
        first=lambda asked: honest(asked)
        if asked.path == "/b.bin"
        else answer(b"<html>moved</html>", "Content-Type: text/html", "Location: /b.bin", status="301 Moved"),
        ends=Completes(),
    ),
    "with an endless page": Lie(
        first=lambda asked: honest(asked)
        if asked.path == "/b.bin"
        else iter([answer(b"", "Location: /b.bin", status="303 See Other", length=10**12), BODY, BODY]),
        ends=Completes(),
    ),
    "with a page in gzip": Lie(
        first=_to("/b.bin", "Content-Encoding: gzip", "Transfer-Encoding: gzip"), ends=Completes()
    ),
    "with two lengths": Lie(first=_to("/b.bin", "Content-Length: 99"), ends=Completes()),
}  # fmt: skip


def _hop(asked: Asked, last: int) -> bytes:
    number = int(asked.path.removeprefix("/").removesuffix(".bin").replace("a", "0"))
    return ok() if number == last else answer(b"", f"Location: /{number + 1}.bin", status="302 Found")


def _with(*wanted: str, sets: tuple[str, ...], location: str = "/a.bin", unwanted: str = "secret") -> Lie:
    """Redirect with cookies; send the file only to a request that has the wanted ones and no other."""

    def script(asked: Asked) -> bytes:
        have = {pair.strip() for pair in asked.headers.get("cookie", "").split(";")} - {""}
        if set(wanted) <= have and have and unwanted not in asked.headers.get("cookie", ""):
            return honest(asked)
        if have or (not wanted and asked.path == "/b.bin"):
            return answer(repr(have).encode(), status="403 Forbidden") if have else honest(asked)
        cookies = [f"Set-Cookie: {cookie}" for cookie in sets]
        return answer(
            b"", f"Location: {location.replace('PORT', _port(asked))}", *cookies, status="302 Found"
        )

    return Lie(first=script, ends=Completes())


def _before_each(asked: Asked) -> bytes:
    """Want a cookie that only the redirect before the same request sets; break off the first download."""
    if asked.headers.get("cookie") == f"s={asked.count - 1}":
        return honest(asked)[: -HALF if asked.count == 3 else None]
    return answer(b"", "Location: /a.bin", f"Set-Cookie: s={asked.count}", status="302 Found")


COOKIES = {
    "a cookie before each request": Lie(first=_before_each, ends=Completes()),
    "a cookie": _with("s=1", sets=("s=1",)),
    "a cookie with attributes": _with("s=1", sets=("s=1; Path=/; HttpOnly; SameSite=Lax; Max-Age=60",)),
    "two cookies": _with("s=1", "t=2", sets=("s=1; Path=/", "t=2; Path=/")),
    "a cookie with signs": _with("s=a=b/+%20=", sets=("s=a=b/+%20=; path=/",)),
    "a cookie in quotes": _with('s="a b"', sets=('s="a b"; Path=/',)),
    "a cookie that is set twice": _with("s=2", sets=("s=1", "s=2")),
    "a cookie with an expiry in many forms": _with("s=1", sets=("s=1; Expires=Wed, 09 Jun 2094 10:18:14 GMT",)),
    "a cookie that has expired": _with("s=1", sets=("s=1", "secret=2; Max-Age=0")),
    "a cookie for another path": _with("s=1", sets=("s=1", "secret=2; Path=/elsewhere")),
    "a cookie for another host": _with("s=1", sets=("s=1", "secret=2; Domain=other.test")),
    "a cookie for TLS only": _with("s=1", sets=("s=1", "secret=2; Secure")),
    "a cookie and another host": _with(sets=("secret=1",), location="http://courses.test:PORT/b.bin"),
    "a cookie without a name": _with("s=1", sets=("s=1", "=secret; Path=/")),
    "a cookie with a line of junk": _with("s=1", sets=("s=1", ";;;", "\x01secret=\x02")),
}  # fmt: skip
