"""What a file is, by its first bytes. Labels such as Content-Type are often wrong."""

from __future__ import annotations

import html
import re

_HTML_TYPES = {"text/html", "application/xhtml+xml"}
_PLAYLIST_TYPES = {
    "application/vnd.apple.mpegurl": "an HLS playlist",
    "application/x-mpegurl": "an HLS playlist",
    "audio/mpegurl": "an HLS playlist",
    "audio/x-mpegurl": "an HLS playlist",
    "application/dash+xml": "a DASH playlist",
    "application/vnd.ms-sstr+xml": "a Smooth Streaming playlist",
}
_HTML_NAME = re.compile(r"\.(?:x?html?|mht|mhtml)\Z", re.IGNORECASE)
_PROLOGUE = rb"(?:\xef\xbb\xbf)?(?>\s*(?:<!--.*?-->|<\?.*?\?>))*+\s*"
_HTML_START = re.compile(_PROLOGUE + rb"<(?:!doctype\s+html|html)[\s>]", re.IGNORECASE | re.DOTALL)
_PAGE_START = re.compile(
    _PROLOGUE + rb"<(?:!doctype\s+html|html|head|body|title|meta)[\s>]", re.IGNORECASE | re.DOTALL
)
_MARKUP = re.compile(rb"<(?:!doctype|html|head|body|form|div|script|title|h1|p|a|br)\b", re.IGNORECASE)
_TITLE = re.compile(rb"<title[^>]*>(.*?)<", re.IGNORECASE | re.DOTALL)
_STARTS = (
    (re.compile(rb"(?:\xef\xbb\xbf)?\s*#EXTM3U"), "an HLS playlist"),
    (re.compile(_PROLOGUE + rb"<(?:\w+:)?MPD[\s>]", re.DOTALL), "a DASH playlist"),
    (re.compile(_PROLOGUE + rb"<SmoothStreamingMedia[\s>]", re.DOTALL), "a Smooth Streaming playlist"),
)
#: The error message of an object store (S3 and those that imitate it).
_STORE_ERROR = re.compile(_PROLOGUE + rb"<Error\b[^>]*>.*?<Code>\s*([\w.-]{1,80})\s*</Code>", re.DOTALL)
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
_OBJECT = re.compile(rb'(?:\xef\xbb\xbf)?\s*{\s*"')
_MAX_TITLE = 80

_ZIP = ((0, b"PK\x03\x04"), (0, b"PK\x05\x06"), (0, b"PK\x07\x08"))
_MPEG4 = tuple((4, kind) for kind in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp"))
_GZIP = ((0, b"\x1f\x8b"),)
_EBML = ((0, b"\x1a\x45\xdf\xa3"),)
_OGG = ((0, b"OggS"),)
_OLE = ((0, b"\xd0\xcf\x11\xe0"),)
#: The bytes at an offset of which a file of that name has at least one.
_MAGICS: dict[str, tuple[tuple[int, bytes], ...]] = {
    **dict.fromkeys(("zip", "docx", "xlsx", "pptx", "odt", "ods", "odp", "epub", "jar", "apk", "cbz"), _ZIP),
    **dict.fromkeys(("mp4", "m4v", "m4a", "m4b", "mov", "3gp", "heic", "avif"), _MPEG4),
    **dict.fromkeys(("mkv", "webm", "mka"), _EBML),
    **dict.fromkeys(("ogg", "oga", "ogv", "opus"), _OGG),
    **dict.fromkeys(("gz", "tgz", "gzip", "svgz"), _GZIP),
    **dict.fromkeys(("bz2", "tbz", "tbz2"), ((0, b"BZh"),)),
    **dict.fromkeys(("xz", "txz"), ((0, b"\xfd7zXZ\x00"),)),
    **dict.fromkeys(("zst", "tzst"), ((0, b"\x28\xb5\x2f\xfd"),)),
    **dict.fromkeys(("avi", "wav", "webp"), ((0, b"RIFF"),)),
    **dict.fromkeys(("doc", "xls", "ppt"), _OLE),
    **dict.fromkeys(("jpg", "jpeg"), ((0, b"\xff\xd8\xff"),)),
    "mp3": ((0, b"ID3"), (0, b"\xff\xfb"), (0, b"\xff\xf3"), (0, b"\xff\xf2"), (0, b"\xff\xfa")),
    "flac": ((0, b"fLaC"),),
    "pdf": ((0, b"%PDF"),),
    "png": ((0, b"\x89PNG"),),
    "gif": ((0, b"GIF8"),),
    "7z": ((0, b"7z\xbc\xaf\x27\x1c"),),
    "rar": ((0, b"Rar!"),),
    "tar": ((257, b"ustar"),),
    "z": ((0, b"\x1f\x9d"),),
}
#: Texts that servers label as HTML, or that contain markup.
_TEXT_NAME = re.compile(
    r"\.(?:txt|srt|vtt|ass|ssa|sub|lrc|md|rst|tex|bib|csv|tsv|json|ipynb|xml|svg|ya?ml|toml|ini|cfg|conf|log|css|scss"
    r"|m?js|jsx|tsx?|py|[ch]|cc|[ch]pp|java|kt|go|rs|rb|php|pl|sql|sh|bat|ps1|r|jl|m|swift|cs)\Z",
    re.IGNORECASE,
)


def matches(name: str, head: bytes) -> bool:
    """Whether the first bytes are those that a file of this name has."""
    return any(
        head[offset : offset + len(magic)] == magic for offset, magic in _MAGICS.get(_suffix(name), ())
    )


def is_text(head: bytes) -> bool:
    """Whether the first bytes are text. Without any bytes there is nothing to contradict that."""
    return head[:2] in {b"\xff\xfe", b"\xfe\xff"} or not _CONTROL.search(head)


def looks_like_manifest(head: bytes) -> bool:
    """Whether the first bytes are those of a JSON object with ``files``. Scripts often label JSON as HTML."""
    return bool(_OBJECT.match(head)) and b'"files"' in head and is_text(head)


def mismatch(
    name: str, content_type: str, head: bytes, *, may_be_manifest: bool = False, may_be_page: bool = True
) -> str | None:
    """Return what came in place of a file, such as "an HTML page"; None if it may be the file.

    Args:
        name: The file's name.
        content_type: The media type in the response, empty if there is none.
        head: The first bytes.
        may_be_manifest: Whether a JSON document is fine, too.
        may_be_page: Whether an HTML page is fine where the name says that it is one.
    """
    if not is_text(head) or (may_be_manifest and looks_like_manifest(head)):
        return None
    text = _narrow(head)
    for start, what in _STARTS:
        if start.match(text):
            return what
    error = _STORE_ERROR.match(text)
    if error and _suffix(name) != "xml":
        return f"an error message of the server ({error[1].decode()})"
    if not (may_be_page and _HTML_NAME.search(name)) and _is_page(name, content_type, text):
        return f"an HTML page{_title(text)}"
    if content_type in _PLAYLIST_TYPES:
        return _PLAYLIST_TYPES[content_type]
    is_json = content_type == "application/json" or content_type.endswith("+json")
    return "a JSON document" if is_json and not may_be_manifest and _suffix(name) in _MAGICS else None


def _is_page(name: str, content_type: str, text: bytes) -> bool:
    if _TEXT_NAME.search(name):
        fragment = content_type in _HTML_TYPES and text.lstrip()[:1] == b"<" and _MARKUP.search(text)
        return bool(_HTML_START.match(text) or fragment)
    return content_type in _HTML_TYPES or bool(_PAGE_START.match(text))


def _title(text: bytes) -> str:
    found = _TITLE.search(text)
    words = html.unescape(found[1].decode("utf-8", "replace")).split() if found else []
    title = "".join(c for c in " ".join(words) if c.isprintable())[:_MAX_TITLE]
    return f" with the title {title!r}" if title else ""


def _suffix(name: str) -> str:
    return name.rpartition(".")[2].lower() if "." in name else ""


def _narrow(head: bytes) -> bytes:
    """Return UTF-16 as UTF-8, and everything else unchanged."""
    if head[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return head.decode("utf-16", "ignore").encode("utf-8", "ignore")
    return head
