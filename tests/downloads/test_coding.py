"""Content-Encoding: labels that code nothing, and compression that was not asked for."""

import gzip
import hashlib
import random
import zlib

import pytest

from orderctl.downloads.errors import BadAnswer, ChecksumMismatch, ConnectionBroken, TooLarge
from orderctl.downloads.http import HttpHandler
from tests.downloads.conftest import one_file
from tests.servers.scripted import answer, versioned

NOISE = random.Random(5).randbytes(20_000)
ZIP = b"PK\x03\x04" + NOISE
TEXT = b"1\n00:00:01 --> 00:00:02\nHello\n" * 1000
TGZ = gzip.compress(NOISE)
BR, ZSTD = b"\x0b\x02\x80" + NOISE, b"\x28\xb5\x2f\xfd" + NOISE

#: Name, label, what the server sends, the file.
CODED = [
    *(("a.zip", label, ZIP, ZIP) for label in (
        "aws-chunked", "UTF-8", "utf-8", "binary", "none", "identity", "IDENTITY", "8bit", "iso-8859-1", "", ",",
        "application/zip", "raw, aws-chunked",
        # registered codings, but the bytes are the file's
        "gzip", "x-gzip", "deflate", "br", "zstd", "compress", "gzip, aws-chunked",
    )),
    ("a.bin", "gzip", NOISE, NOISE),
    ("a.srt", "br", TEXT, TEXT),
    ("a.tgz", "x-gzip", TGZ, TGZ),
    ("a.tar.gz", "gzip", TGZ, TGZ),
    ("a.gz", "gzip", TGZ, TGZ),
    ("a.tar.zst", "zstd", ZSTD, ZSTD),
    ("a.js.br", "br", BR, BR),
    ("A.BR", "br", BR, BR),
    # and those that are coded indeed
    ("a.zip", "gzip", gzip.compress(ZIP), ZIP),
    ("a.srt", "GZIP", gzip.compress(TEXT), TEXT),
    ("a.bin", "x-gzip", gzip.compress(NOISE), NOISE),
    ("a.zip", "gzip, aws-chunked", gzip.compress(ZIP), ZIP),
    ("a.srt", "deflate", zlib.compress(TEXT), TEXT),
    ("a.bin", "gzip", gzip.compress(NOISE) + gzip.compress(TEXT), NOISE + TEXT),
    ("a.bin", "gzip", gzip.compress(NOISE) + bytes(1000), NOISE),
]  # fmt: skip


@pytest.mark.parametrize(("name", "label", "sent", "file"), CODED)
def test_evidence_decides_whether_a_body_is_coded(download, scripted, name, label, sent, file):
    server = scripted(
        lambda asked: versioned(sent, asked).replace(b"ETag", f"Content-Encoding: {label}\r\nETag".encode())
    )

    download.run(f"{server.url}/{name}")

    assert download.files() == {name: file}


@pytest.mark.parametrize(
    ("name", "label", "sent", "words"),
    [
        ("a.bin", "br", BR, r"compressed \(br\)"),
        ("a.zip", "br", BR, r"compressed \(br\)"),
        ("a.bin", "zstd", ZSTD, r"compressed \(zstd\)"),
        ("a.bin", "gzip, gzip", TGZ, r"compressed \(gzip, gzip\)"),
        ("a.bin", "gzip", TGZ[:-9], "damaged: it has no end"),
        ("a.bin", "gzip", TGZ[:-5] + b"\0" * 5, "damaged"),
        ("a.bin", "aws-chunked", b"1000;chunk-signature=" + b"a" * 64 + b"\r\n", "aws-chunked"),
    ],
)  # fmt: skip
def test_refuses_what_cannot_be_decoded(download, scripted, name, label, sent, words):
    server = scripted(lambda _asked: answer(sent, f"Content-Encoding: {label}"))

    with pytest.raises(BadAnswer, match=words):
        download.run(f"{server.url}/{name}")

    assert download.files() == {}


@pytest.mark.parametrize(
    ("label", "sent", "file"),
    [
        ("gzip", TGZ, TGZ),  # the label is wrong
        ("gzip", gzip.compress(NOISE), NOISE),
        ("br", BR, BR),
        ("gzip, br", TGZ, TGZ),
        ("UTF-8", NOISE, NOISE),
    ],
)
@pytest.mark.parametrize("sized", [True, False])
def test_a_checksum_has_the_last_word(download, scripted, label, sent, file, sized):
    server = scripted(lambda _asked: answer(sent, f"Content-Encoding: {label}"))
    known = {"sha256": hashlib.sha256(file).hexdigest(), "size": len(file) if sized else None}

    HttpHandler(reserve=0).download(download.context(server.url), one_file(f"{server.url}/a.bin", **known))

    assert download.files() == {"a.bin": file}


def test_a_checksum_of_neither_is_refused(download, scripted):
    server = scripted(lambda _asked: answer(TGZ, "Content-Encoding: gzip"))

    with pytest.raises(ChecksumMismatch):
        HttpHandler(reserve=0).download(
            download.context(server.url), one_file(f"{server.url}/a.bin", sha256="0" * 64)
        )

    assert download.hidden() == set()


def test_a_size_shows_that_the_label_is_wrong(download, scripted):
    server = scripted(lambda _asked: answer(TGZ, "Content-Encoding: gzip"))

    HttpHandler(reserve=0).download(
        download.context(server.url), one_file(f"{server.url}/a.bin", size=len(TGZ))
    )

    assert download.files() == {"a.bin": TGZ}


def test_a_little_that_decodes_to_much_is_refused(download, scripted):
    download.settings["download.max_bytes"] = "1000000"
    server = scripted(lambda _asked: answer(gzip.compress(bytes(50_000_000)), "Content-Encoding: gzip"))

    with pytest.raises(TooLarge):
        download.run(f"{server.url}/a.bin")

    assert download.hidden() == set()


def test_a_compressed_body_that_breaks_off_starts_over(download, scripted):
    sent = gzip.compress(NOISE)

    def script(asked):
        whole = answer(sent, "Content-Encoding: gzip", 'ETag: "1"')
        return whole[:-10_000] if asked.count == 1 else whole

    server = scripted(script)
    with pytest.raises(ConnectionBroken):
        download.run(f"{server.url}/a.bin")

    download.run(f"{server.url}/a.bin", attempt=2)

    assert download.files() == {"a.bin": NOISE}
    assert all(not asked.start for asked in server.asked)


def test_a_compressed_body_that_only_the_connection_ends_is_complete_or_broken(download, scripted):
    head = b"HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
    server = scripted(lambda _asked: head + TGZ)
    download.run(f"{server.url}/a.bin")
    assert download.files() == {"a.bin": NOISE}

    server.script = lambda _asked: head + TGZ[:-10]
    with pytest.raises(ConnectionBroken):
        download.run(f"{server.url}/b.bin")


def test_a_compressed_manifest_is_read(download, scripted):
    manifest = gzip.compress(b'{"files": [{"url": "a.bin"}]}')
    label = ("Content-Encoding: gzip", "Content-Type: application/json")
    server = scripted(lambda asked: answer(manifest, *label) if asked.path == "/m.json" else answer(b"x"))

    download.run(f"{server.url}/m.json")

    assert download.files() == {"a.bin": b"x"}
