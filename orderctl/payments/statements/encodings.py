"""From a file's bytes to its text. What is not a text, such as a workbook, is refused by what it is."""

from __future__ import annotations

import codecs
from typing import Final

from orderctl import texts
from orderctl.errors import InvalidInput

_SAVE: Final = "open it in a spreadsheet program and save it as CSV (UTF-8)"
#: How files begin that are renamed, or given by mistake.
_MAGIC: Final = (
    (b"PK\x03\x04", "an Excel workbook (.xlsx) or another ZIP archive", _SAVE),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook (.xls)", _SAVE),
    (b"%PDF", "a PDF document", "download the statement from the bank as CSV"),
    (b"{\\rtf", "an RTF document", "download the statement from the bank as CSV"),
    (b"\x1f\x8b", "compressed by gzip", "unpack it with gunzip"),
)
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: Encodings of Python's that no bank writes: some take quadratic time, or read a text as something else.
_NOT_OF_FILES: Final = {"idna", "punycode", "raw_unicode_escape", "unicode_escape", "undefined", "utf_7"}
_MARKUP: Final = ("<!doctype", "<html", "<table", "<head", "<body", "<meta", "<?xml")


def decode(data: bytes, encoding: str | None) -> str:
    """Return the text of a file without a byte order mark and without NUL characters.

    Args:
        data: The file.
        encoding: Its encoding; None: UTF-8, or UTF-16 with a byte order mark.

    Raises:
        InvalidInput: It is empty, not a text, in another encoding, or the encoding is unknown.
    """
    _refuse_others(data)
    text = _decoded(data, encoding)
    _refuse_markup(text)
    text = text.replace("\x00", "")
    if not text.strip():
        raise InvalidInput("the statement is empty")
    return text


def _refuse_others(data: bytes) -> None:
    for start, what, hint in _MAGIC:
        if data.startswith(start):
            raise InvalidInput(f"the statement is {what}, not CSV or JSON", hint=hint)


def _refuse_markup(text: str) -> None:
    start = text[:200].lstrip().casefold()
    if start.startswith(_MARKUP):
        kind = "XML" if start.startswith("<?xml") else "HTML"
        raise InvalidInput(f"the statement is an {kind} document, not CSV or JSON", hint=_SAVE)


def _decoded(data: bytes, encoding: str | None) -> str:
    given = None if encoding is None else _known(encoding)  # refused also where a mark says which one it is
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _strictly(data[len(mark) :], name, "as its byte order mark says")
    if given is not None:
        return _strictly(data, given, "as --encoding says").removeprefix("\ufeff")
    if data.count(0) * 4 > len(data):
        raise InvalidInput(
            "the statement is binary data, or UTF-16 without a byte order mark", hint="--encoding utf-16-le"
        )
    return _strictly(data, "utf-8", None)


def _known(encoding: str) -> str:
    try:
        found = codecs.lookup(encoding)
        is_of_text = found._is_text_encoding  # noqa: SLF001 - bytes.decode() asks it, too
    except (LookupError, ValueError):
        is_of_text = False
    if not is_of_text or found.name.replace("-", "_") in _NOT_OF_FILES:
        allowed = "allowed is utf-8, utf-16, cp1258, cp1252, latin-1 or another encoding of Python's"
        raise InvalidInput(f"{texts.shown(encoding)} is not a known encoding: {allowed}")
    return found.name


def _strictly(data: bytes, encoding: str, said: str | None) -> str:
    try:
        return data.decode(encoding)
    except UnicodeError as error:
        if b"\x00" in data and not encoding.startswith("utf-16"):
            raise InvalidInput("the statement is binary data, not CSV or JSON", hint=_SAVE) from None
        at = error.start if isinstance(error, UnicodeDecodeError) else 0
        line = data.count(b"\n", 0, at) + 1
        name = encoding.upper() if said is None else f"{encoding.upper()}, {said}"
        raise InvalidInput(
            f"line {line} of the statement is not {name}",
            hint="--encoding cp1258 (or cp1252, latin-1, utf-16)",
        ) from None
