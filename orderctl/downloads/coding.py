"""Content-Encoding: whether a body is coded, by evidence, and the decoding of what is.

orderctl asks for the file as it is (``Accept-Encoding: identity``). Servers send labels that code nothing, label
a ``.tgz`` with the compression that it has anyway, and compress all the same.
"""

from __future__ import annotations

import re
import zlib

from orderctl.downloads import evidence
from orderctl.downloads.body import Body
from orderctl.downloads.errors import BadAnswer, ConnectionBroken
from orderctl.downloads.protocol import RemoteFile

#: The registered codings that change bytes. Everything else in the header (``aws-chunked``, ``UTF-8``, ``binary``,
#: ``none``) is a mistake that changes nothing.
_CODINGS = {
    "gzip": "gzip", "x-gzip": "gzip", "compress": "compress", "x-compress": "compress", "deflate": "deflate",
    "br": "br", "zstd": "zstd", "dcb": "dcb", "dcz": "dcz", "exi": "exi", "pack200-gzip": "pack200-gzip",
    "aes128gcm": "aes128gcm",
}  # fmt: skip
_MAGICS = {"gzip": b"\x1f\x8b", "compress": b"\x1f\x9d", "zstd": b"\x28\xb5\x2f\xfd"}
_AWS_CHUNK = re.compile(rb"[0-9a-f]{1,8};chunk-signature=[0-9a-f]{64}\r\n")
#: Bytes of text that a coded body does not begin with by chance.
_TELLING = 32
_GZIP_WINDOW, _ZLIB_WINDOW = 31, 15  # zlib's ``wbits``
_BUFFER = 64 * 1024


def open_body(answer: Body, label: str, file: RemoteFile, *, raw: bool = False) -> Body:
    """Return the body of a file: the response's own, or what it decodes to.

    Args:
        answer: The response.
        label: Its header ``Content-Encoding``.
        file: What is known of the file.
        raw: Whether to take the bytes as they are, because the decoded ones have been found wrong.

    Raises:
        BadAnswer: It is compressed in a way that orderctl cannot undo.
    """
    tokens = [token.strip().lower() for token in label.split(",")]
    codings = [_CODINGS[token] for token in tokens if token in _CODINGS]
    if "aws-chunked" in tokens and _AWS_CHUNK.match(answer.head()):
        raise BadAnswer(f"{answer.url.shown} was stored with the framing of aws-chunked in it")
    if not codings or raw or _is_the_file(answer, codings, file):
        return answer
    window = _window(codings, answer.head())
    if window is not None:
        return Decoded(answer, window)
    if file.sha256:
        return answer  # the checksum decides
    raise BadAnswer(
        f"{answer.url.shown} is compressed ({', '.join(codings)}), although orderctl asks for the file as it is"
    )


def _is_the_file(answer: Body, codings: list[str], file: RemoteFile) -> bool:
    """Whether the bytes are the file's own, although the label says that they are coded."""
    head = answer.head()
    if not head.startswith(_MAGICS.get(codings[-1], b"")):
        return True
    if file.size is not None and answer.length is not None:
        return answer.length == file.size
    # Such as code.br, whose first bytes say nothing.
    named = file.name.lower().endswith(f".{codings[-1]}")
    return named or evidence.matches(file.name, head) or (evidence.is_text(head) and len(head) >= _TELLING)


def _window(codings: list[str], head: bytes) -> int | None:
    """Return zlib's parameter for the coding, None when it is not one of zlib's."""
    if codings == ["gzip"]:
        return _GZIP_WINDOW
    is_zlib = len(head) > 1 and head[0] & 0x0F == zlib.DEFLATED and int.from_bytes(head[:2]) % 31 == 0
    return _ZLIB_WINDOW if codings == ["deflate"] and is_zlib else None


class Decoded(Body):
    """What a compressed body decodes to. Its end is checked, so a truncated one is noticed.

    Args:
        source: The compressed body.
        window: Zlib's ``wbits``.
    """

    decoded = True

    def __init__(self, source: Body, window: int) -> None:
        super().__init__(source.url, None, delimited=True)
        self._source = source
        self._window = window
        self._inflater = zlib.decompressobj(window)
        self._pending = b""
        self._buffer = memoryview(bytearray(_BUFFER))

    def _pull(self, view: memoryview) -> int:
        while not self._inflater.eof or self._next_member():
            data = self._inflate(len(view))
            if data:
                view[: len(data)] = data
                return len(data)
            if not (self._inflater.eof or self._pending or self._fill()):
                self._refuse_end()
        while self._fill():
            pass  # the server may add zeros; the connection must not break before its end
        return 0

    def _inflate(self, most: int) -> bytes:
        try:
            data = self._inflater.decompress(self._pending, most)
        except zlib.error as error:
            raise BadAnswer(f"the compressed body of {self.url.shown} is damaged: {error}") from None
        self._pending = self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail
        return data

    def _next_member(self) -> bool:
        """Go on with the next member of a gzip file, if there is one."""
        while len(self._pending) < len(_MAGICS["gzip"]) and self._fill(keep=True):
            pass
        if self._window != _GZIP_WINDOW or not self._pending.startswith(_MAGICS["gzip"]):
            return False
        self._inflater = zlib.decompressobj(self._window)
        return True

    def _fill(self, *, keep: bool = False) -> bool:
        count = self._source.readinto(self._buffer)
        self._pending = (self._pending if keep else b"") + bytes(self._buffer[:count])
        return count > 0

    def _refuse_end(self) -> None:
        if not self._source.delimited:
            raise ConnectionBroken(f"the connection ended before the compressed body did: {self.url.shown}")
        raise BadAnswer(f"the compressed body of {self.url.shown} is damaged: it has no end")
