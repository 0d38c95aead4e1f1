"""The HTTP client: HTTP/1.1 GET over :mod:`orderctl.downloads.stream`, with a check of each redirect."""

from __future__ import annotations

import io
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

import orderctl
from orderctl.downloads import addresses, disposition, framing, headers, heads, stream, urls
from orderctl.downloads.body import Body
from orderctl.downloads.errors import ConnectionBroken, UrlRefused
from orderctl.downloads.heads import Head
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
        headers: The status and the headers.
    """

    def __init__(self, url: Url, connection: Stream, reader: io.BufferedReader[Stream], head: Head) -> None:
        # Where the body of a redirect or an error ends does not matter: it is not read.
        is_read = head.status < HTTPStatus.MULTIPLE_CHOICES
        chunked = is_read and framing.is_chunked(head)
        length = framing.content_length(head) if is_read and not chunked else None
        super().__init__(url, length, delimited=chunked or length is not None)
        self.status = head.status
        self.headers = head
        self._connection = connection
        self._source = framing.Chunks(reader, url.shown) if chunked else reader
        self._left = length

    @property
    def filename(self) -> str:
        """The file name that the server sent, empty when there is none."""
        return next(filter(None, map(disposition.filename, self.headers.all("Content-Disposition"))), "")

    @property
    def is_attachment(self) -> bool:
        """Whether the server says that the response is to be saved as a file."""
        return self.header("Content-Disposition").lower().startswith("attachment")

    def header(self, name: str) -> str:
        """Value of a header, empty when it is absent."""
        return self.headers.get(name)

    @property
    def content_type(self) -> str:
        """The media type without parameters."""
        return self.header("Content-Type").partition(";")[0].strip().lower()

    @property
    def retry_after(self) -> float | None:
        """Seconds after which the server asks to come again, None when it does not say."""
        pauses = [
            headers.retry_after(value, self.header("Date")) for value in self.headers.all("Retry-After")
        ]
        return max(filter(None, pauses), default=None)

    def _pull(self, view: memoryview) -> int:
        view = view if self._left is None else view[: self._left]
        if not view:
            return 0
        self._connection.budget = len(view) + _OVERHEAD
        count = self._source.readinto1(view)
        if self._left is not None:
            self._left -= count
            if not count:
                raise ConnectionBroken(
                    f"the connection ended with {self._left} of {self.length} bytes missing: {self.url.shown}"
                )
        return count


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
                if set_cookies := answer.headers.all("Set-Cookie"):
                    cookies = cookies or _new_cookies()
                    cookies.take(url, set_cookies)
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
            reader = io.BufferedReader(connection, _BUFFER)
            head = heads.read(reader, url.shown)
            connection.answered()
            yield Answer(url, connection, reader, head)

    def _tls_context(self) -> ssl.SSLContext:
        self._tls = self._tls or ssl.create_default_context()
        return self._tls


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
