"""Where the bodies of responses end."""

import io

import pytest

from orderctl.downloads.errors import BadAnswer, ConnectionBroken
from orderctl.downloads.framing import Chunks, content_length, is_chunked
from orderctl.downloads.heads import Head


def read(text, size=1000):
    chunks = Chunks(io.BufferedReader(io.BytesIO(text)), "http://host/a")
    view = memoryview(bytearray(size))
    body = b""
    while count := chunks.readinto1(view):
        body += view[:count]
    assert chunks.readinto1(view) == 0
    return body


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    "text",
    [
        b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n", b"0005\r\nabcde\r\n000\r\n\r\n", b"5 \t;x=y\r\nabcde\r\n0;z\r\nTrailer: 1\r\n\r\n",
        b"2\nab\n3\ncde\n0\n\n", b"5\r\nabcde\r\n0\r\n\r\njunk", b"5\r\nabcde\r\n0\r\n", b"5\r\nabcde\r\n0\r",
    ],
)  # fmt: skip
def test_reads_chunks(text, size):
    assert read(text, size) == b"abcde"


@pytest.mark.parametrize(
    "text",
    [b"", b"5", b"5\r\nabc", b"5\r\nabcde", b"5\r\nabcde\r", b"5\r\nabcde\r\n", b"5\r\nabcde\r\n00", b"5\r\nabcdefgh\r\n0\r\n\r\n",
     b"zz\r\n", b"\r\n", b"+5\r\nabcde\r\n0\r\n\r\n", b"-5\r\n", b"0x5\r\nabcde\r\n0\r\n\r\n", b"1_0\r\n", b" 5\r\nabcde\r\n",
     b"5,5\r\nabcde\r\n0\r\n\r\n", b"f" * 16 + b"\r\n", b"\xd9\xa5\r\n"],
)  # fmt: skip
def test_notices_that_chunks_are_incomplete(text):
    with pytest.raises(ConnectionBroken, match="before the response was complete"):
        read(text)


@pytest.mark.parametrize("text", [b"f" * 70_000, b"5;" + b"x" * 70_000, b"0\r\n" + b"x" * 70_000])
def test_refuses_a_line_without_an_end(text):
    with pytest.raises(BadAnswer, match="too long"):
        read(text)


@pytest.mark.parametrize(
    ("values", "length"),
    [([], None), (["5"], 5), (["5", "5"], 5), (["5, 5"], 5), (["5", "05 ,5"], 5), (["0"], 0)],
)
def test_reads_the_length(values, length):
    assert content_length(Head(200, {"content-length": values})) == length


@pytest.mark.parametrize("values", [["5", "6"], ["5, 6"], ["5,"], [""], ["x"], ["9" * 5000], ["5 5"]])
def test_refuses_what_is_not_a_length(values):
    with pytest.raises(BadAnswer, match="Content-Length"):
        content_length(Head(200, {"content-length": values}))


@pytest.mark.parametrize(
    ("values", "chunked"),
    [([], False), (["identity"], False), ([""], False), (["Chunked"], True), (["chunked", "chunked"], True)],
)
def test_reads_whether_there_are_chunks(values, chunked):
    assert is_chunked(Head(200, {"transfer-encoding": values})) == chunked


@pytest.mark.parametrize(
    "values", [["gzip"], ["gzip, chunked"], ["chunked", "gzip"], ["chunked, chunked"], ["xchunked"]]
)
def test_refuses_other_transfer_codings(values):
    with pytest.raises(BadAnswer, match="transfer encoding"):
        is_chunked(Head(200, {"transfer-encoding": values}))
