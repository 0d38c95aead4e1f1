"""Pages, playlists and error messages in place of a file, under all labels."""

import gzip

from orderctl.downloads.errors import BadAnswer, NotAFile
from tests.downloads.lies.row import Completes, Fails, Lie, ok

_PAGES = {
    "HTML": b"<!DOCTYPE html>\n<html><body>Please log in</body></html>",
    "HTML in capitals": b"<HTML><HEAD><TITLE>Login</TITLE></HEAD></HTML>",
    "HTML after a byte order mark": b"\xef\xbb\xbf<!doctype html><p>Log in",
    "HTML after comments": b"\n <!-- saved -->\n<!-- twice --><!DOCTYPE html><p>Log in",
    "XHTML": b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN"><html></html>',
    "HTML in UTF-16": "\ufeff<!DOCTYPE html><html><p>Log in</html>".encode("utf-16-le"),
}
_FRAGMENTS = {
    "HTML without its start": b"<head><meta http-equiv=refresh content='0; url=/login'></head>",
    "HTML that is a script": b"<script>location.href = '/login'</script>",
    "HTML that is a body": b"<body onload='go()'>Log in</body>",
}
_HLS = b"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-STREAM-INF:BANDWIDTH=1280000\nlow/index.m3u8\n"
_PLAYLISTS = {
    "an HLS playlist": _HLS,
    "an HLS playlist after a byte order mark": b"\xef\xbb\xbf" + _HLS,
    "an HLS playlist with CRLF": _HLS.replace(b"\n", b"\r\n"),
    "a DASH manifest": b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>',
    "a DASH manifest after a comment": b'<?xml version="1.0"?><!-- x -->\n<MPD type="static"></MPD>',
}
_LABELS = ("", "application/octet-stream", "video/mp4", "text/plain", "text/html")
_LISTS = ("application/vnd.apple.mpegurl", "application/x-mpegURL", "audio/mpegurl", "application/dash+xml")


def _type(label: str) -> str:
    return f"Content-Type: {label}" if label else ""


PAGES = (
    {
        f"{kind} as {label or 'nothing'}": Lie(
            first=ok(_type(label), body=body), path="/a.mp4", ends=Fails(NotAFile, "HTML|page")
        )
        for kind, body in _PAGES.items()
        for label in (_LABELS if kind == "HTML" else _LABELS[1:3])
    }
    | {
        f"{kind} as {label}": Lie(
            first=ok(_type(label), body=body), path="/a.mp4", ends=Fails(NotAFile, "HTML|page")
        )
        for kind, body in _FRAGMENTS.items()
        for label in ("text/html", "TEXT/HTML;charset=utf-8")
    }
    | {
        f"{kind} as {label or 'nothing'} at {path}": Lie(
            first=ok(_type(label), body=body),
            path=path,
            ends=Fails(NotAFile, "playlist.*handler|handler.*playlist"),
        )
        for kind, body in _PLAYLISTS.items()
        for label, path in [
            *((label, "/watch?v=5") for label in ((*_LABELS, *_LISTS) if kind == "an HLS playlist" else ("video/mp4", "text/html"))),
            ("application/octet-stream", "/a.m3u8"),
            ("text/xml", "/a.mpd"),
        ]
    }
    | {
        "HTML, coded with gzip": Lie(
            first=ok("Content-Type: text/html", "Content-Encoding: gzip", body=gzip.compress(_PAGES["HTML"])),
            ends=Fails(BadAnswer, "HTML|page|Content-Encoding"),
        ),
        "an error message in JSON": Lie(
            first=ok("Content-Type: application/json", body=b'{"error": "expired"}'),
            ends=Fails(BadAnswer, "JSON|manifest"),
        ),
        "an error message of S3's": Lie(
            first=ok(
                "Content-Type: application/xml",
                body=b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>',
            ),
            path="/a.mp4",
            ends=Fails(NotAFile, "error|XML|AccessDenied"),
        ),
        "a page that a manifest names": Lie(
            first=ok("Content-Type: text/html", body=_PAGES["HTML"]),
            path="/notes.html",
            known={"size": len(_PAGES["HTML"])},
            ends=Completes(body=_PAGES["HTML"]),
        ),
        "a playlist that a manifest names": Lie(
            first=ok("Content-Type: text/plain", body=_HLS),
            path="/a.m3u8",
            known={"sha256": True},
            ends=Completes(body=_HLS),
        ),
        "a file as text/html": Lie(first=ok("Content-Type: text/html"), path="/a.mp4", ends=Completes()),
        "a file as a playlist": Lie(
            first=ok("Content-Type: application/vnd.apple.mpegurl"), path="/a.mp4", ends=Completes()
        ),
        "a manifest after a byte order mark": Lie(
            first=lambda asked: ok(body=b'\xef\xbb\xbf{"files": [{"url": "b.bin"}]}')
            if asked.path == "/m.json"
            else ok(),
            path="/m.json",
            ends=Completes("b.bin"),
        ),
        "a manifest as text/html": Lie(
            first=lambda asked: ok("Content-Type: text/html", body=b'{"files": [{"url": "b.bin"}]}')
            if asked.path == "/m.json"
            else ok(),
            path="/m.json",
            ends=Completes("b.bin"),
        ),
        "a manifest that only its name shows": Lie(
            first=lambda asked: ok(
                "Content-Disposition: attachment; filename=m.json", body=b'{"files": [{"url": "/b.bin"}]}'
            )
            if asked.path == "/get?id=5"
            else ok("Content-Type: application/octet-stream"),
            path="/get?id=5",
            ends=Completes("b.bin"),
        ),
        "text that speaks of HTML": Lie(
            first=ok("Content-Type: text/plain", body=b"Learn <html> in a day. " * 9),
            path="/a.txt",
            ends=Completes(body=b"Learn <html> in a day. " * 9),
        ),
        "a subtitle that speaks of EXTM3U": Lie(
            first=ok(body=b"1\n00:01 --> 00:02\n#EXTM3U is a playlist\n"),
            path="/a.srt",
            ends=Completes(body=b"1\n00:01 --> 00:02\n#EXTM3U is a playlist\n"),
        ),
        "an empty file as text/html": Lie(
            first=ok("Content-Type: text/html", body=b""), path="/a.mp4", ends=Fails(NotAFile, "HTML|page")
        ),
        "a long page under the label of a video": Lie(
            first=ok("Content-Type: video/mp4", body=_PAGES["HTML"] * 2000), path="/a.mp4", ends=Fails(NotAFile, "HTML|page")
        ),
    }
)  # fmt: skip
