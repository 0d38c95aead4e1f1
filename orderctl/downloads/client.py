"""The HTTP client: HTTP/1.1 GET over :mod:`orderctl.downloads.stream`, with a check of each redirect."""

from __future__ import annotations

import io
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, IncompleteRead, RemoteDisconnected
from typing import TYPE_CHECKING

import orderctl
from orderctl.downloads import addresses, disposition, headers, stream, urls
from orderctl.downloads.body import Body
from orderctl.downloads.errors import BadAnswer, ConnectionBroken, UrlRefused
from orderctl.downloads.stream import Stream, StreamLimits
from orderctl.downloads.urls import Url

if TYPE_CHECKING:
    from orderctl.downloads.cookies import Cookies

MAX_REDIRECTS = 10
_REDIRECTS = {
    HTTPStatus.MOVED_PERMANENTLY,
    HTTPStatus.FOUND,
    HTTPStatus.SEE_OTHER,
    HTTPStatus.TEMPORARY_REDIRECT,
    HTTPStatus.PERMANENT_REDIRECT,
}
#: Most bytes of a response's header, and of what surrounds one chunk (its size line, the trailers).
_OVERHEAD = 256 * 1024
_BUFFER = 64 * 1024


class Answer(Body):
    """The response to a request. Its body is read from the connection on demand.

    Attributes:
        response: The response as the standard library reads it.
    """

    def __init__(self, url: Url, connection: Stream, response: HTTPResponse) -> None:
        self._chunked = _is_chunked(response)
        length = None if self._chunked else _content_length(response)
        super().__init__(url, length, delimited=self._chunked or length is not None)
        self.status = response.status
        self._connection = connection
        self.response = response
        self._left = length

    @property
    def filename(self) -> str:
        """The file name that the server sent, empty when there is none."""
        values = self.response.headers.get_all("Content-Disposition", [])
        return next(filter(None, map(disposition.filename, values)), "")

    @property
    def is_attachment(self) -> bool:
        """Whether the server says that the response is to be saved as a file."""
        return self.header("Content-Disposition").lower().startswith("attachment")

    def header(self, name: str) -> str:
        """Value of a header, empty when it is absent."""
        return self.response.getheader(name) or ""

    @property
    def content_type(self) -> str:
        """The media type without parameters."""
        return self.header("Content-Type").partition(";")[0].strip().lower()

    @property
    def retry_after(self) -> float | None:
        """Seconds after which the server asks to come again, None when it does not say."""
        return headers.retry_after(self.header("Retry-After"), self.header("Date"))

    def _pull(self, view: memoryview) -> int:
        view = view if self._left is None else view[: self._left]
        if not view:
            return 0
        self._connection.budget = len(view) + _OVERHEAD
        with _translating(self.url):
            count = self._readinto(view)
        if self._left is not None:
            self._left -= count
            if not count:
                raise ConnectionBroken(
                    f"the connection ended with {self._left} of {self.length} bytes missing: {self.url.shown}"
                )
        return count

    def _readinto(self, view: memoryview) -> int:
        if not self._chunked:
            return self.response.fp.readinto1(view)
        data = self.response.read1(len(view))
        view[: len(data)] = data
        return len(data)


class HttpClient:
    """Makes requests, within limits of time and rate.

    Args:
        allow_private: Whether hosts in private networks are allowed.
        tls: Context that verifies servers; None: the certificate authorities of the system.
    """

    def __init__(
        self,
        limits: StreamLimits,
        check: Callable[[], None],
        *,
        allow_private: bool,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._limits = limits
        self._check = check
        self._allow_private = allow_private
        self._tls = tls

    @contextmanager
    def get(self, text: str, further: Mapping[str, str] | None = None) -> Iterator[Answer]:
        """Request a URL and follow its redirects; the connection is closed at the end of the block.

        Args:
            text: The URL.
            further: Headers besides the usual ones.

        Raises:
            DownloadError: No response could be had that is not a redirect.
        """
        url = urls.parse(text)
        origin, authorization = url.origin, url.authorization
        cookies: Cookies | None = None
        for _ in range(MAX_REDIRECTS + 1):
            credentials = {"Authorization": authorization} if authorization and url.origin == origin else {}
            sent = {**(further or {}), **credentials, **(cookies.header(url) if cookies else {})}
            with self._request(url, sent) as answer:
                location = answer.header("Location")
                if answer.status not in _REDIRECTS or not location:
                    yield answer
                    return
                if answer.header("Set-Cookie"):
                    cookies = cookies or _new_cookies()
                    cookies.take(url, answer.response)
            url = urls.follow(url, location)
        raise UrlRefused(f"{urls.parse(text).shown} redirects more than {MAX_REDIRECTS} times")

    @contextmanager
    def _request(self, url: Url, further: Mapping[str, str]) -> Iterator[Answer]:
        targets = addresses.resolve(url.host, url.port, allow_private=self._allow_private)
        with closing(stream.connect(targets, self._limits, self._check, url.authority)) as connection:
            if url.scheme == "https":
                connection.encrypt(self._tls_context(), url.host)
            connection.send(_head(url, further))
            connection.budget = _OVERHEAD
            # The response flushes and closes the file from which it reads, so it is closed before the
            # connection.
            with closing(HTTPResponse(_Source(connection), method="GET")) as response:  # type: ignore[arg-type]
                with _translating(url):
                    response.begin()
                connection.answered()
                yield Answer(url, connection, response)

    def _tls_context(self) -> ssl.SSLContext:
        self._tls = self._tls or ssl.create_default_context()
        return self._tls


class _Source:
    """The part of a socket's interface that HTTPResponse uses."""

    def __init__(self, connection: Stream) -> None:
        self._connection = connection

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._connection, _BUFFER)


def _new_cookies() -> Cookies:
    from orderctl.downloads.cookies import Cookies  # noqa: PLC0415 - few servers need it, and it loads much

    return Cookies()


def _head(url: Url, further: Mapping[str, str]) -> bytes:
    lines = {
        "Host": url.authority,
        "User-Agent": f"orderctl/{orderctl.__version__}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
        **further,
    }
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"GET {url.target} HTTP/1.1\r\n{text}\r\n".encode("latin-1")


def _is_chunked(response: HTTPResponse) -> bool:
    coding = (response.getheader("Transfer-Encoding") or "identity").strip().lower()
    if coding != "identity" and not response.chunked:
        raise BadAnswer("the response has a transfer encoding that orderctl does not support")
    return bool(response.chunked)


def _content_length(response: HTTPResponse) -> int | None:
    values = {value.strip() for value in response.headers.get_all("Content-Length", [])}
    if not values:
        return None
    value = values.pop()
    if values or not (value.isascii() and value.isdigit()):
        raise BadAnswer("the response's Content-Length is not a number")
    return int(value)


@contextmanager
def _translating(url: Url) -> Iterator[None]:
    """Turn http.client's errors about a malformed response into orderctl's."""
    try:
        yield
    except (IncompleteRead, RemoteDisconnected) as error:
        raise ConnectionBroken(
            f"the connection ended before the response was complete: {url.shown}"
        ) from error
    except (HTTPException, ValueError) as error:
        raise BadAnswer(f"the response is not valid HTTP ({type(error).__name__}): {url.shown}") from error
