"""Files of all encodings, and files that are not texts."""

from __future__ import annotations

import pytest

from orderctl.errors import InvalidInput
from orderctl.payments.statements.encodings import decode

TEXT = "Ng\xe0y,S\u1ed1 ti\u1ec1n\r\n"


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (TEXT.encode(), None),
        (TEXT.encode("utf-8-sig"), None),
        (TEXT.encode("utf-16"), None),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), None),
        (TEXT.encode("utf-8-sig"), "utf-8"),
        (TEXT.encode("utf-8-sig"), "cp1258"),
        (TEXT.encode("utf-16-le"), "utf-16-le"),
        (TEXT.replace("S", "\x00S").encode(), None),
    ],
)
def test_a_text_is_decoded(data: bytes, encoding: str | None):
    assert decode(data, encoding) == TEXT


@pytest.mark.parametrize("encoding", ["cp1258", "cp1252", "latin-1"])
def test_another_encoding_is_named_by_the_user(encoding: str):
    data = "a\nNg\xe0y".encode(encoding)
    assert decode(data, encoding) == "a\nNg\xe0y"
    with pytest.raises(InvalidInput, match=r"^line 2 of the statement is not UTF-8$") as error:
        decode(data, None)
    assert "--encoding cp1258" in error.value.hint


@pytest.mark.parametrize(
    "encoding", ["x", "", "hex", "rot13", "idna", "punycode", "unicode_escape", "utf-7", "a\x00b"]
)
def test_an_unknown_encoding_is_refused(encoding: str):
    with pytest.raises(InvalidInput, match="is not a known encoding: allowed is utf-8, utf-16, cp1258"):
        decode(b"a", encoding)
    with pytest.raises(InvalidInput, match="is not a known encoding"):
        decode(b"\xef\xbb\xbfa", encoding)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PK\x03\x04\x14", "an Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1", "an Excel workbook"),
        (b"%PDF-1.7", "a PDF document"),
        (b"{\\rtf1", "an RTF document"),
        (b"\x1f\x8b\x08", "compressed by gzip"),
        (b"\n <!DOCTYPE html><table>", "an HTML document"),
        (b"\xef\xbb\xbf<html>", "an HTML document"),
        (b"<?xml version='1.0'?>", "an XML document"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "binary data"),
        (TEXT.encode("utf-16-le"), "UTF-16 without a byte order mark"),
        (b"", "empty"),
        (b" \r\n\x00 ", "empty"),
    ],
)
def test_what_is_not_a_text_is_refused(data: bytes, what: str):
    with pytest.raises(InvalidInput, match=what):
        decode(data, None)
