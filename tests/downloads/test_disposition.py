"""File names in Content-Disposition headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.downloads.disposition import filename

NAMES = [
    # RFC 6266
    ("attachment; filename=a.mp4", "a.mp4"),
    ('attachment; filename="lesson 1.mp4"', "lesson 1.mp4"),
    ("inline;FILENAME=a.mp4", "a.mp4"),
    ("filename=a.mp4", "a.mp4"),
    ('attachment;  filename = "a.mp4" ; size=5', "a.mp4"),
    ("attachment; filename*=UTF-8''b%C3%A0i%201.mp4", "bài 1.mp4"),
    ("attachment; filename*=utf-8'vi'b%c3%a0i.mp4", "bài.mp4"),
    ("attachment; filename*=iso-8859-1''caf%E9.mp4", "café.mp4"),
    ("attachment; filename*=Shift_JIS''%93%FA.mp4", "日.mp4"),
    ("attachment; filename*=windows-1258''%F0.mp4", "đ.mp4"),
    ('attachment; filename*="UTF-8\'\'b%C3%A0i.mp4"', "bài.mp4"),
    # filename* wins, in any order
    ("attachment; filename=\"bai.mp4\"; filename*=UTF-8''b%C3%A0i.mp4", "bài.mp4"),
    ("attachment; filename*=UTF-8''b%C3%A0i.mp4; filename=\"bai.mp4\"", "bài.mp4"),
    # unless it cannot be read
    ("attachment; filename*=klingon''%FF.mp4; filename=a.mp4", "a.mp4"),
    ("attachment; filename*=UTF-8''%FF.mp4; filename=a.mp4", "a.mp4"),
    ("attachment; filename*=rot13''n.mp4; filename=a.mp4", "a.mp4"),
    ("attachment; filename*=; filename=a.mp4", "a.mp4"),
    ("attachment; filename*=nonsense''x%FFy", "xÿy"),
    ("attachment; filename*=b%C3%A0i.mp4", "bài.mp4"),
    # quoting
    (r'attachment; filename="a \"b\" \\ c.mp4"', 'a "b" \\ c.mp4'),
    ('attachment; filename="a;b=c.mp4"; size=5', "a;b=c.mp4"),
    ('attachment; filename="a.mp4', "a.mp4"),
    ('attachment; filename="a.mp4; size=5', "a.mp4"),
    ("attachment; filename=lesson 1.mp4; size=5", "lesson 1.mp4"),
    ("attachment; filename=lesson 1.mp4", "lesson 1.mp4"),
    ("attachment; filename='a.mp4'", "a.mp4"),
    ("attachment; filename=it's.mp4", "it's.mp4"),
    ('attachment; filename="a.mp4"; filename="b.mp4"', "a.mp4"),
    ('attachment; filename="a.mp4" junk; size=5', "a.mp4"),
    ('attachment; filename=""', ""),
    ("attachment; filename=", ""),
    ("attachment", ""),
    ("", ""),
    ("\x01;;=;filename", ""),
    # UTF-8 and Latin-1, as they are
    ('attachment; filename="bài.mp4"'.encode().decode("latin-1"), "bài.mp4"),
    ("attachment; filename=bài.mp4".encode().decode("latin-1"), "bài.mp4"),
    ('attachment; filename="café.mp4"', "café.mp4"),
    # percent-encoded
    ('attachment; filename="b%C3%A0i%201.mp4"', "bài 1.mp4"),
    ("attachment; filename=b%C3%A0i.mp4", "bài.mp4"),
    ('attachment; filename="100%.mp4"', "100%.mp4"),
    ('attachment; filename="50%25.mp4"', "50%.mp4"),
    ('attachment; filename="50%20 off.mp4"', "50%20 off.mp4"),
    ('attachment; filename="%E9.mp4"', "%E9.mp4"),
    ('attachment; filename="a%00b.mp4"', "a%00b.mp4"),
    # encoded words
    ('attachment; filename="=?UTF-8?B?YsOgaS5tcDQ=?="', "bài.mp4"),
    ('attachment; filename="=?utf-8?q?b=C3=A0i_1.mp4?="', "bài 1.mp4"),
    ("attachment; filename==?UTF-8?B?YsOgaS5tcDQ=?=", "bài.mp4"),
    ('attachment; filename="=?UTF-8?Q?b=C3?= =?UTF-8?Q?=A0i?= =?iso-8859-1?Q?=E9?=.mp4"', "bàié.mp4"),
    ('attachment; filename="=?UTF-8?Q?a?= - =?UTF-8?Q?b?=.mp4"', "a - b.mp4"),
    ('attachment; filename="=?UTF-8*vi?B?YsOgaS5tcDQ?="', "bài.mp4"),
    ('attachment; filename="=?klingon?Q?caf=E9?="', "café"),
    ('attachment; filename="=?UTF-8?X?a?="', "=?UTF-8?X?a?="),
    # continuations
    ("attachment; filename*0*=UTF-8''b%C3; filename*1*=%A0i; filename*2=\" 1.mp4\"", "bài 1.mp4"),
    ('attachment; filename*1="b.mp4"; filename*0="a"; filename=c.mp4', "ab.mp4"),
    ("attachment; filename*0*=''b%C3%A0i; filename*1=.mp4", "bài.mp4"),
    # paths
    ('attachment; filename="../../etc/passwd"', "../../etc/passwd"),
    (r'attachment; filename="C:\Users\Bob\a.mp4"', "a.mp4"),
    (r'attachment; filename="C:\\Users\\Bob\\a.mp4"', "a.mp4"),
    (r'attachment; filename="\\server\share\a.mp4"', "a.mp4"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "name"), NAMES)
def test_reads_a_name(value, name):
    assert filename(value) == name


@given(st.text(st.characters(max_codepoint=255)))
def test_whatever_a_server_says_is_a_text(value):
    filename(value)
    filename(f"attachment; filename={value}")
    filename(f"attachment; filename*={value}")
    filename(f'attachment; filename="=?UTF-8?B?{value}?="')


@pytest.mark.parametrize("piece", ["=?UTF-8?Q?a?= ", '"', "\\", "a=", ";", "%41", "filename*0=a;", " ", "'"])
def test_a_long_header_takes_no_time(piece):
    filename("attachment; filename=" + piece * 100_000)
    filename('attachment; filename="' + piece * 100_000)
