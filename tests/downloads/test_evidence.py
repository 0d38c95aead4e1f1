"""What came in place of a file, by its first bytes."""

import pytest

from orderctl.downloads import evidence

ZIP = b"PK\x03\x04" + bytes(range(256))
MP4 = b"\0\0\0\x20ftypisom" + bytes(range(256))
PAGE = b"<!DOCTYPE html><html><head><title> Log&nbsp;in\n &lt;now&gt; </title></head>"
S3 = b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'
MPD = b'<?xml version="1.0"?>\n<!-- x --><MPD xmlns="urn:mpeg:dash:schema:mpd:2011">'
SMOOTH = b'<SmoothStreamingMedia MajorVersion="2">'

WRONG = [
    ("a.zip", "", PAGE, "an HTML page with the title 'Log in <now>'"),
    ("a.zip", "application/zip", PAGE, "an HTML page"),
    ("a.zip", "application/octet-stream", b"\xef\xbb\xbf \n<!-- a --> <!-- b --><HTML lang=vi>", "an HTML page"),
    ("a.zip", "", b'<?xml version="1.0"?><!DOCTYPE html><html>', "an HTML page"),
    ("a.zip", "", PAGE.decode().encode("utf-16"), "an HTML page with the title"),
    ("a", "", b"<head><meta>", "an HTML page"),
    ("a.zip", "text/html", b"Please log in", "an HTML page"),
    ("a.zip", "text/html", b"", "an HTML page"),
    ("courses", "text/html", b"<title>Index of /courses</title>", "with the title 'Index of /courses'"),
    ("a.srt", "text/html", b"<div>Log in</div>", "an HTML page"),
    ("a.txt", "", PAGE, "an HTML page"),
    ("a.m3u8", "", b"#EXTM3U\n#EXT-X-VERSION:3", "an HLS playlist"),
    ("a.mp4", "video/mp4", b"\xef\xbb\xbf#EXTM3U\n", "an HLS playlist"),
    ("a.m3u8", "application/vnd.apple.mpegurl", b"lesson-1.ts\n", "an HLS playlist"),
    ("a", "text/html", b"#EXTM3U\n", "an HLS playlist"),
    ("a", "text/html", MPD, "a DASH playlist"),
    ("a", "text/html", S3, "an error message of the server (AccessDenied)"),
    ("a.mpd", "", MPD, "a DASH playlist"),
    ("a", "application/dash+xml", b"<x/>", "a DASH playlist"),
    ("a", "", b"<mpd:MPD xmlns:mpd='x'>", "a DASH playlist"),
    ("Manifest", "", SMOOTH, "a Smooth Streaming playlist"),
    ("a.zip", "application/xml", S3, "an error message of the server (AccessDenied)"),
    ("a.mp4", "application/json; charset=utf-8".partition(";")[0], b'{"error": 1}', "a JSON document"),
    ("a.mp4", "application/problem+json", b'{"error": 1}', "a JSON document"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content_type", "head", "what"), WRONG)
def test_says_what_came_instead(name, content_type, head, what):
    assert what in (evidence.mismatch(name, content_type, head) or "")


@pytest.mark.parametrize(
    ("name", "content_type", "head"),
    [
        ("a.zip", "text/html", ZIP),
        ("a.zip", "application/json", ZIP),
        ("a.mp4", "application/vnd.apple.mpegurl", MP4),
        ("a.unknown", "text/html", b"\x01\x02"),
        ("a.srt", "text/html", b"1\n00:00:01 --> 00:00:02\n<i>Hello</i>"),
        ("a.csv", "text/html", b"a;b\n"),
        ("a.json", "text/html", b'{"title": "<p>Go</p>"}'),
        ("a.html", "text/html", PAGE),
        ("a.XHTML", "application/xhtml+xml", PAGE),
        ("a.xml", "text/xml", S3),
        ("a.svg", "image/svg+xml", b"<?xml version='1.0'?><svg><title>x</title>"),
        ("a.json", "application/json", b"{}"),
        ("a.bin", "application/json", b"{}"),
        ("a.txt", "text/plain", b"The <html> tag"),
        ("a.zip", "", b"x"),
        ("a.bin", "", b"<htmlx>"),
        ("a.bin", "", b""),
    ],
)
def test_lets_what_may_be_the_file_pass(name, content_type, head):
    assert evidence.mismatch(name, content_type, head) is None


def test_a_page_is_not_a_course_whatever_its_name():
    assert "an HTML page" in (evidence.mismatch("a.html", "", PAGE, may_be_page=False) or "")


def test_a_manifest_is_json():
    assert evidence.mismatch("a.mp4", "application/json", b"{}", may_be_manifest=True) is None


@pytest.mark.parametrize(
    ("name", "head"),
    [("a.zip", ZIP), ("A.ZIP", ZIP), ("a.mp4", MP4), ("a.tar.gz", b"\x1f\x8b\x08"), ("a.tar", bytes(257) + b"ustar")],
)  # fmt: skip
def test_knows_the_first_bytes_of_a_name(name, head):
    assert evidence.matches(name, head)
    assert not evidence.matches(name, b"x" + head)
    assert not evidence.matches("a.bin", head)


@pytest.mark.parametrize(
    "piece", [b"<!-- ", b"<!---->", b"<?", b" ", b"<Error><Code>", b"<title>", b"\xff\xfe"]
)
def test_long_heads_take_no_time(piece):
    evidence.mismatch("a.zip", "text/html", (piece * 4096)[:4096])
