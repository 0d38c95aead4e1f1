"""Which responses carry the file, and which a page, a playlist or an error message in its place."""

import hashlib

import pytest

from orderctl.downloads.errors import NotAFile
from orderctl.downloads.http import HttpHandler
from orderctl.states import ErrorType
from tests.downloads.conftest import one_file
from tests.servers.scripted import answer

ZIP = b"PK\x03\x04" + bytes(range(256)) * 100
PAGE = b"<!DOCTYPE html><html><title>Log in</title></html>"
PLAYLIST = b"#EXTM3U\n#EXT-X-VERSION:3\nlesson-1.ts\n"
MPD = b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>'


@pytest.mark.parametrize(
    "said",
    [
        answer(ZIP, status="203 Non-Authoritative Information"),
        answer(ZIP, f"Content-Range: bytes 0-{len(ZIP) - 1}/{len(ZIP)}", status="206 Partial Content"),
        answer(ZIP, "Content-Type: text/html"),
        answer(ZIP, "Content-Type: application/json"),
        answer(ZIP, "Content-Type: application/vnd.apple.mpegurl"),
        answer(ZIP, "Transfer-Encoding: identity"),
    ],
)
def test_takes_a_file_with_an_odd_label(download, scripted, said):
    server = scripted(lambda _asked: said)

    download.run(f"{server.url}/a.zip")

    assert download.files() == {"a.zip": ZIP}


INSTEAD = {
    "page": ("/course", answer(PAGE, "Content-Type: text/html"), "an HTML page with the title 'Log in'"),
    "page with a name": ("/a.html", answer(PAGE, "Content-Type: text/html"), "an HTML page"),
    "page labelled as zip": ("/a.zip", answer(PAGE, "Content-Type: application/zip"), "an HTML page"),
    "HLS": ("/a.m3u8", answer(PLAYLIST, "Content-Type: application/vnd.apple.mpegurl"), "an HLS playlist"),
    "HLS labelled as video": ("/a.mp4", answer(PLAYLIST, "Content-Type: video/mp4"), "an HLS playlist"),
    "DASH": ("/a.mpd", answer(MPD), "a DASH playlist"),
    "error": ("/a.zip", answer(b"<Error><Code>NoSuchKey</Code></Error>"), "an error message .*NoSuchKey"),
    "nothing": ("/a.zip", answer(b""), "empty"),
}


@pytest.mark.parametrize(("path", "said", "words"), INSTEAD.values(), ids=INSTEAD)
def test_says_what_came_instead_and_that_a_handler_is_needed(download, scripted, path, said, words):
    server = scripted(lambda _asked: said)

    with pytest.raises(NotAFile, match=words) as caught:
        download.run(server.url + path)

    assert caught.value.error_type is ErrorType.NOT_A_FILE
    assert not caught.value.transient
    assert ("docs/extending.md" in (caught.value.hint or "")) == ("page" in words or "playlist" in words)
    assert not download.directory.exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.mp4", answer(PLAYLIST)),
        ("a.m3u8", answer(PLAYLIST)),
        ("a.zip", answer(PAGE)),
        ("a.zip", answer(b'{"error": "expired"}', "Content-Type: application/json")),
    ],
)
def test_an_entry_of_a_manifest_is_looked_at_as_well(download, scripted, name, said):
    server = scripted(lambda _asked: said)

    with pytest.raises(NotAFile):
        HttpHandler(reserve=0).download(download.context(server.url), one_file(f"{server.url}/x", name))

    assert download.files() == {}


def test_a_page_in_place_of_a_file_with_a_checksum_is_named(download, scripted):
    server = scripted(lambda _asked: answer(PAGE, "Content-Type: text/html"))

    with pytest.raises(NotAFile, match="Log in"):
        HttpHandler(reserve=0).download(
            download.context(server.url), one_file(f"{server.url}/a.zip", "a.zip", sha256="0" * 64)
        )


@pytest.mark.parametrize("body", [PAGE, PLAYLIST, MPD])
def test_a_checksum_has_the_last_word(download, scripted, body):
    server = scripted(lambda _asked: answer(body, "Content-Type: text/html"))
    known = {"sha256": hashlib.sha256(body).hexdigest()}

    HttpHandler(reserve=0).download(
        download.context(server.url), one_file(f"{server.url}/x", "a.bin", **known)
    )

    assert download.files() == {"a.bin": body}
