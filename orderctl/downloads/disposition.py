"""The file name in a ``Content-Disposition`` header, in all the ways in which servers write one.

RFC 6266 has ``filename`` and ``filename*`` (RFC 8187); what else servers send is read as browsers do: encoded
words of mails (RFC 2047), continuations (RFC 2231), percent-encoding and UTF-8 in a plain ``filename``.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from itertools import count, groupby
from quopri import decodestring
from urllib.parse import unquote_to_bytes

#: Longest header that is read, in characters.
_MAX = 16 * 1024
_PARAMETER = re.compile(
    r"""\s*(?P<name>[^=;"\s]+)\s*=\s*(?:
        "(?P<quoted>(?:\\.|[^"\\])*)"[^;]*
      | "(?P<unclosed>.*?)(?=;\s*[\w*-]+\s*=|\Z)
      | (?P<bare>[^;]*)
    )(?:;|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_PERCENT = re.compile(r"(?:[!#-$&-~]|%[0-9A-Fa-f]{2})+\Z")
_WORD = re.compile(r"=\?([^?*\s]+)(?:\*[^?\s]*)?\?([BbQq])\?([^?]*)\?=")
_BETWEEN_WORDS = re.compile(r"(?<=\?=)\s+(?==\?)")
_FULL_PATH = re.compile(r"\A(?:[A-Za-z]:\\|\\{1,2}[^\\]+\\)(?:.*\\)?", re.DOTALL)


def filename(value: str) -> str:
    """Return the file name, empty when there is none.

    Args:
        value: The header's value, with one character for each byte (Latin-1).
    """
    found = _parameters(value[:_MAX])
    name = _extended(found, known=True) or _continued(found) or _plain(found.get("filename", ""))
    return _FULL_PATH.sub("", name or _extended(found, known=False), count=1).strip()


def _parameters(value: str) -> dict[str, str]:
    """Return the parameters by lower-case name; of a name that occurs twice, the first counts."""
    found: dict[str, str] = {}
    position = 0
    while position < len(value):
        match = _PARAMETER.match(value, position)
        if match:
            found.setdefault(match["name"].lower(), _text(match))
            position = match.end()
        else:
            position = _next(value, position)
    return found


def _next(value: str, position: int) -> int:
    """Return where the next parameter begins, after what is not one, such as ``attachment``."""
    end = value.find(";", position)
    return len(value) if end < 0 else end + 1


def _text(match: re.Match[str]) -> str:
    if match["quoted"] is not None:
        # Only these are escaped: other backslashes belong to Windows paths.
        return re.sub(r'\\(["\\])', r"\1", match["quoted"])
    text = (match["bare"] if match["unclosed"] is None else match["unclosed"]).strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == "'" else text


def _extended(found: dict[str, str], *, known: bool) -> str:
    """Return the value of ``filename*``.

    Args:
        found: The parameters.
        known: Whether the charset must be known, and the bytes valid in it.
    """
    value = found.get("filename*", "")
    charset, mark, rest = value.partition("'")
    _, mark, encoded = rest.partition("'") if mark else ("", "", "")
    if not mark:
        return _plain(value)
    octets = unquote_to_bytes(encoded.encode("latin-1"))
    text = _decode(octets, charset)
    return _readable(octets) if text is None and not known else text or ""


def _continued(found: dict[str, str]) -> str:
    """Return the name that is split into ``filename*0``, ``filename*1`` and so on; a ``*`` behind means encoded."""
    octets, charset = b"", ""
    for number in count():
        key = f"filename*{number}"
        if f"{key}*" in found:
            piece = found[f"{key}*"]
            if not number and piece.count("'") > 1:
                charset, _, piece = piece.split("'", 2)
            octets += unquote_to_bytes(piece.encode("latin-1"))
        elif key in found:
            octets += found[key].encode("latin-1")
        else:
            break
    text = _decode(octets, charset) if charset else None
    return _readable(octets) if text is None else text


def _plain(value: str) -> str:
    """Return the name in a value that should be plain ASCII, and often is not."""
    text = _encoded_words(_readable(value.encode("latin-1")))
    if "%" not in text or not _PERCENT.match(text):
        return text
    decoded = _decode(unquote_to_bytes(text), "utf-8")
    return decoded if decoded is not None and decoded.isprintable() else text


def _encoded_words(text: str) -> str:
    """Decode ``=?UTF-8?B?...?=`` and the like. A character may be split between two words."""
    pieces = _WORD.split(_BETWEEN_WORDS.sub("", text))
    plain, words = pieces[::4], zip(pieces[1::4], pieces[2::4], pieces[3::4], strict=True)
    # Words that follow each other without a text between them, and have one charset, are decoded together.
    runs = groupby(enumerate(words), key=lambda item: (_run(plain, item[0]), item[1][0].lower()))
    result = plain[0]
    for (_, charset), run in runs:
        numbered = list(run)
        octets = b"".join(_octets(kind, coded) for _, (_, kind, coded) in numbered)
        decoded = _decode(octets, charset)
        result += _readable(octets) if decoded is None else decoded
        result += plain[numbered[-1][0] + 1]
    return result


def _run(plain: list[str], index: int) -> int:
    """Return a number that is equal for words without a text between them."""
    return sum(map(bool, plain[1 : index + 1]))


def _octets(kind: str, coded: str) -> bytes:
    if kind in "qQ":
        return decodestring(coded.encode("latin-1", "replace"), header=True)
    try:
        return b64decode(coded + "=" * (-len(coded) % 4))
    except (binascii.Error, ValueError):
        return coded.encode("latin-1", "replace")


def _readable(octets: bytes) -> str:
    """Return bytes as UTF-8 if they are, else as Latin-1."""
    text = _decode(octets, "utf-8")
    return octets.decode("latin-1") if text is None else text


def _decode(octets: bytes, charset: str) -> str | None:
    try:
        return octets.decode(charset)
    except (LookupError, UnicodeError, ValueError):
        return None
