"""How the body is coded and delimited: labels that say nothing, lengths that are wrong, chunks that are none."""

import gzip

from orderctl.downloads.errors import BadAnswer, ConnectionBroken, NotAFile, SizeMismatch, TooLarge
from tests.downloads.lies.row import BODY, ETAG, HALF, SIZE, Completes, Fails, Lie, honest, ok, raw
from tests.servers.scripted import RESET, Asked, Script, answer, chunked, versioned

_GZIPPED = gzip.compress(BODY, mtime=0)
_TGZ = gzip.compress(b"a course in an archive" * 100, mtime=0)
_CHUNKED = "Transfer-Encoding: chunked"


def _coded(token: str, body: bytes = BODY, path: str = "/a.bin") -> Lie:
    return Lie(first=ok(f"Content-Encoding: {token}", body=body), path=path, ends=Completes(body=body))


_NOTHING = (
    *("", "identity", "IDENTITY", "none", "binary", "8bit", "7bit", "raw", "UTF-8", "utf8", "iso-8859-1"),
    *("aws-chunked", "aws-chunked, identity", "aws-chunked,", "binary, UTF-8", "x-unknown", "gzip", "x-gzip"),
)
_ARCHIVES = (
    *(("gzip", "/a.tgz"), ("x-gzip", "/a.tgz"), ("GZIP", "/a.tar.gz"), ("x-gzip", "/a.gz")),
    *(("gzip", "/a.svgz"), ("gzip, aws-chunked", "/a.gz"), ("x-gzip", "/A.TGZ")),
)


def _really(cut_at: int, *, later_plain: bool = False) -> Script:
    """Compress the body although nothing asked for it; cut off one answer."""

    def script(asked: Asked) -> bytes:
        if later_plain and asked.count > cut_at:
            return honest(asked)
        said = versioned(_GZIPPED, asked).replace(b"\r\n", b"\r\nContent-Encoding: gzip\r\n", 1)
        return said[: -HALF if asked.count == cut_at else None]

    return script


#: Labels under which the file is sent as it is.
CODINGS = {
    **{f"Content-Encoding: {token}": _coded(token) for token in _NOTHING},
    **{f"Content-Encoding: {token} on {path}": _coded(token, _TGZ, path) for token, path in _ARCHIVES},
    "gzip, and it is": Lie(first=_really(-1), ends=Completes()),
    "gzip, and it is, but the enrollment breaks": Lie(first=_really(0), ends=Completes()),
    "gzip, and it is, and the connection breaks": Lie(first=_really(1), ends=Completes(attempts=3)),
    "gzip, and the rest comes without": Lie(first=_really(1, later_plain=True), ends=Completes(attempts=3)),
    "gzip, and its end is missing": Lie(
        first=ok("Content-Encoding: gzip", body=_GZIPPED[:-10]), ends=Fails(BadAnswer, "damaged|end", transient=None)
    ),
    "gzip, and it is damaged": Lie(
        first=ok("Content-Encoding: gzip", body=_GZIPPED[:HALF] + BODY[HALF:]),
        ends=Fails(BadAnswer, "damaged", transient=None),
    ),
    "two Content-Encodings that code nothing": Lie(
        first=ok("Content-Encoding: identity", "Content-Encoding: binary"), ends=Completes()
    ),
    "Content-Encoding: br, but a manifest has the checksum of what is sent": Lie(
        first=ok("Content-Encoding: br"), known={"sha256": True}, ends=Completes()
    ),
    "Content-Encoding: gzip, but a manifest has the length of what is sent": Lie(
        first=ok("Content-Encoding: gzip"), known={"size": SIZE}, ends=Completes()
    ),
    "Content-Encoding: zstd, and it is": Lie(
        first=ok("Content-Encoding: zstd", body=b"\x28\xb5\x2f\xfd" + BODY), ends=Fails(BadAnswer, "zstd|Content-Encoding")
    ),
    "gzip without a label, of a file that is one": Lie(
        first=ok(body=_TGZ), path="/a.tgz", ends=Completes(body=_TGZ)
    ),
}  # fmt: skip


def _length(value: str, ends: Completes | Fails, body: bytes = BODY) -> Lie:
    return Lie(first=raw("HTTP/1.1 200 OK", f"Content-Length: {value}", ETAG, body=body), ends=ends)


_NOT_A_NUMBER = Fails(BadAnswer, "Content-Length")

#: Where the body ends.
LENGTHS = {
    "more than Content-Length": Lie(
        first=answer(BODY, ETAG, length=SIZE - 100), ends=Completes(body=BODY[:-100])
    ),
    "more than Content-Length, and a manifest knows it": Lie(
        first=answer(BODY, length=SIZE - 100), known={"size": SIZE}, ends=Fails(SizeMismatch, f"{SIZE - 100} bytes")
    ),
    "less than Content-Length": Lie(
        first=answer(BODY[:-100], length=SIZE), ends=Fails(ConnectionBroken, "100 of", transient=True)
    ),
    "less than Content-Length, also after the break": Lie(
        first=answer(BODY[:-100], ETAG, length=SIZE), ends=Fails(ConnectionBroken, "missing|ended", transient=True)
    ),
    "a reset in the middle": Lie(
        first=lambda _asked: iter([answer(BODY[:-100], length=SIZE), RESET]),
        ends=Fails(ConnectionBroken, "failed|ended", transient=True),
    ),
    "a reset before the answer": Lie(
        first=lambda _asked: iter([RESET]), ends=Fails(ConnectionBroken, "failed|ended", transient=True)
    ),
    "closed at once": Lie(first=b"", ends=Fails(ConnectionBroken, "ended", transient=True)),
    "closed in the head": Lie(
        first=b"HTTP/1.1 200 OK\r\nContent-", ends=Fails(ConnectionBroken, "ended", transient=True)
    ),
    "another length than at the enrollment": Lie(
        first=lambda asked: ok(body=BODY[: SIZE if asked.count else 100]),
        ends=Fails(SizeMismatch, f"{SIZE} bytes instead of 100", transient=True),
    ),
    "an empty file": Lie(first=answer(b"", ETAG), ends=Fails(NotAFile, "empty")),
    "an empty file that a manifest names": Lie(
        first=answer(b"", ETAG), known={"size": 0}, ends=Completes(body=b"")
    ),
    "junk after the body": Lie(
        first=lambda _asked: iter([ok(), b"HTTP/1.1 500 Oops\r\n\r\n", b"x" * 10**5]), ends=Completes()
    ),
    "Content-Length among blanks": _length(f"   {SIZE}\t ", Completes()),
    "Content-Length with leading zeros": _length(f"000{SIZE}", Completes()),
    "Content-Length twice in one line": _length(f"{SIZE}, {SIZE}", Completes()),
    "Content-Length twice": _length(f"{SIZE}\r\nContent-Length: {SIZE}", Completes()),
    "Content-Length twice, the second without a value": _length(f"{SIZE},", _NOT_A_NUMBER),
    "Content-Length twice, differently": _length(f"{SIZE}\r\ncontent-length: 5", _NOT_A_NUMBER),
    "Content-Length twice in one line, differently": _length(f"{SIZE}, 5", _NOT_A_NUMBER),
    "Content-Length with a sign": _length(f"+{SIZE}", _NOT_A_NUMBER),
    "Content-Length below zero": _length("-1", _NOT_A_NUMBER),
    "Content-Length in hexadecimal": _length("0x10000", _NOT_A_NUMBER),
    "Content-Length with a fraction": _length(f"{SIZE}.0", _NOT_A_NUMBER),
    "Content-Length with an underscore": _length("65_536", _NOT_A_NUMBER),
    "Content-Length in Arabic digits": _length("٦٥٥٣٦", _NOT_A_NUMBER),
    "Content-Length of 5000 digits": _length("9" * 5000, Fails((BadAnswer, TooLarge), "Content-Length|max_bytes")),
    "Content-Length of a petabyte": _length("1" + "0" * 15, Fails(TooLarge, "max_bytes")),
    "no length, HTTP/1.0": Lie(
        first=raw("HTTP/1.0 200 OK"), ends=Fails(BadAnswer, "no Content-Length")
    ),
    "no length, but a manifest knows it": Lie(
        first=raw("HTTP/1.0 200 OK"), known={"size": SIZE}, ends=Completes()
    ),
    "no length, and cut off before the manifest's": Lie(
        first=raw("HTTP/1.0 200 OK", body=BODY[:-5]),
        known={"size": SIZE},
        ends=Fails(ConnectionBroken, f"{SIZE - 5} of {SIZE}", transient=True),
    ),
    "no length, and more than the manifest's": Lie(
        first=raw("HTTP/1.0 200 OK", body=BODY + b"x"), known={"size": SIZE}, ends=Fails(SizeMismatch, f"{SIZE + 1}")
    ),
    "endless, but a manifest knows the length": Lie(
        first=lambda _asked: iter([raw("HTTP/1.0 200 OK"), *[BODY] * 40]),
        known={"size": SIZE},
        ends=Fails((SizeMismatch, TooLarge), "bytes"),
    ),
}  # fmt: skip


def _chunks(body: bytes, ends: Completes | Fails, *headers: str, version: str = "1.1") -> Lie:
    return Lie(first=raw(f"HTTP/{version} 200 OK", ETAG, *(headers or (_CHUNKED,)), body=body), ends=ends)


_ONE = b"%x\r\n%b\r\n" % (SIZE, BODY)
_END = b"0\r\n\r\n"
_BROKEN = Fails(ConnectionBroken, "ended", transient=True)
_NO_CHUNK = Fails((BadAnswer, ConnectionBroken), "ended|not valid HTTP", transient=None)
_NO_CODING = Fails(BadAnswer, "transfer encoding")

CHUNKS = {
    "chunked": Lie(first=chunked(BODY[:5], BODY[5:]), ends=Completes()),
    "Chunked": _chunks(_ONE + _END, Completes(), "Transfer-Encoding: Chunked"),
    "chunked among blanks": _chunks(_ONE + _END, Completes(), "Transfer-Encoding:  chunked  "),
    "chunked in capitals, sizes too": _chunks(b"%X\r\n%b\r\n" % (SIZE, BODY) + _END, Completes(), _CHUNKED.upper()),
    "chunked with extensions": _chunks(_ONE.replace(b"\r\n", b';a="b"\r\n', 1) + _END, Completes()),
    "chunked with leading zeros": _chunks(b"0000" + _ONE + _END, Completes()),
    "chunked with blanks behind the size": _chunks(_ONE.replace(b"\r\n", b"  \r\n", 1) + _END, Completes()),
    "chunked with trailers": _chunks(_ONE + b"0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n", Completes()),
    "chunked with LF only": _chunks(b"%x\n%b\n0\n\n" % (SIZE, BODY), Completes()),
    "chunked with a Content-Length": _chunks(_ONE + _END, Completes(), _CHUNKED, "Content-Length: 5"),
    "chunked, and junk after the end": _chunks(_ONE + _END + b"junk" * 1000, Completes()),
    "chunked under HTTP/1.0": _chunks(_ONE + _END, Completes(), version="1.0"),
    "Transfer-Encoding: identity": _chunks(
        BODY, Completes(), "Transfer-Encoding: identity", f"Content-Length: {SIZE}"
    ),
    "chunked without an end": _chunks(_ONE, _BROKEN),
    "chunked, cut within the end": _chunks(_ONE + b"0\r", Completes()),
    "chunked, cut within a size": _chunks(b"5\r\nabcde\r\n000", _BROKEN),
    "chunked, cut within a chunk": _chunks(_ONE[:-100], _BROKEN),
    "chunked without a chunk": _chunks(b"", _BROKEN),
    "chunked, and it is not": _chunks(b"zz\r\n" + BODY, _NO_CHUNK),
    "chunked below zero": _chunks(b"-5\r\nabcde\r\n" + _END, _NO_CHUNK),
    "chunked with a sign": _chunks(b"+5\r\nabcde\r\n" + _END, _NO_CHUNK),
    "chunked with 0x": _chunks(b"0x5\r\nabcde\r\n" + _END, _NO_CHUNK),
    "chunked with an underscore": _chunks(b"1_0\r\n" + b"a" * 16 + b"\r\n" + _END, _NO_CHUNK),
    "chunked with a longer chunk than its size": _chunks(b"5\r\nabcdefgh\r\n" + _END, _NO_CHUNK),
    "chunked, then an error message": _chunks(b"5\r\nabcde\r\n<b>Fatal error</b>", _BROKEN),
    "chunked with an endless size": _chunks(b"f" * 200_000, _NO_CHUNK),
    "chunked with a huge chunk": _chunks(b"f" * 16 + b"\r\n" + BODY, _NO_CHUNK),
    "chunked with endless trailers": _chunks(_ONE + b"0\r\n" + b"X: y\r\n" * 100_000, Fails(BadAnswer, "too long|valid")),
    "chunked with an endless extension": _chunks(b"5;" + b"x" * 10**6, _NO_CHUNK),
    "Transfer-Encoding: gzip": _chunks(gzip.compress(BODY), _NO_CODING, "Transfer-Encoding: gzip"),
    "Transfer-Encoding: gzip, chunked": _chunks(_ONE + _END, _NO_CODING, "Transfer-Encoding: gzip, chunked"),
    "Transfer-Encoding: junk": _chunks(_ONE + _END, _NO_CODING, "Transfer-Encoding: xchunked"),
}  # fmt: skip
