"""Everything that is opened for an HTTP answer is closed, in the right order, however the answer ends.

Before 3.13, Python shows an error in a finalizer in its development mode only.
"""

import subprocess
import sys

import pytest

from tests.servers.scripted import answer, chunked, versioned

BODY = bytes(200_000)

SCRIPT = """
import gc, sys
from pathlib import Path
from orderctl.downloads.errors import DownloadError
from tests.downloads.conftest import Download

download = Download(Path(sys.argv[1]))
for url in sys.argv[2:]:
    try:
        download.run(url)
    except DownloadError:
        pass
gc.collect()
"""

ANSWERS = {
    "a whole file": answer(BODY),
    "an empty file": answer(),
    "chunks": chunked(BODY, b"x"),
    "chunks without an end": chunked(BODY, end=False),
    "a body cut short": answer(BODY[:1000], length=5000),
    "until the end": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-",
    "another language": b"220 smtp.example.com ESMTP\r\n",
    "two lengths": answer(b"x", "Content-Length: 7"),
    "an unknown encoding": answer(b"x", "Transfer-Encoding: gzip"),
    "an error": answer(b"not here", status="404 Not Found"),
    "a page": answer(b"<html>", "Content-Type: text/html"),
    "a manifest": answer(b'{"files": []}', "Content-Type: application/json"),
    "a circle": answer(b"there", "Location: /again", status="302 Found"),
    "a forbidden place": answer(b"there", "Location: ftp://example.com/", status="302 Found"),
}


def run(download, *urls: str) -> str:
    """Download in a separate process and return what it wrote to stderr."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", SCRIPT, str(download.directory), *urls]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize("said", ANSWERS.values(), ids=ANSWERS)
def test_nothing_is_left_to_a_finalizer(download, scripted, said):
    assert run(download, f"{scripted(lambda _: said).url}/a.bin") == ""


def test_nothing_is_left_of_a_resumed_file_and_of_an_unreachable_host(download, scripted):
    server = scripted(lambda asked: versioned(BODY, asked)[: -1000 if asked.count == 1 else None])

    assert run(download, f"{server.url}/a.bin", "http://127.0.0.1:1/b.bin") == ""
