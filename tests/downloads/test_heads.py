"""The heads of responses, as servers write them."""

import io

import pytest

from orderctl.downloads import heads
from orderctl.downloads.errors import BadAnswer


def read(text):
    return heads.read(io.BufferedReader(io.BytesIO(text)), "http://host/a")


@pytest.mark.parametrize(
    "before",
    ["Server : x", "hello there", "Khóa: x", ": x", "From nobody", " folded", "X: a\0b", "X: a\x0bb\x85c", "X: a\rb",
     "X: a\r\n\tb", "\r\n".join(f"X-{n}: y" for n in range(1000))],
)  # fmt: skip
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_no_odd_line_hides_the_headers_behind_it(before, end):
    head = read(end.join([b"HTTP/1.1 200 OK", before.encode(), b"Content-Length : 5  ", b"", b""]))

    assert (head.status, head.get("content-length"), head.all("absent")) == (200, "5", ())


@pytest.mark.parametrize(
    ("lines", "values", "value"),
    [
        ("A: 1\r\nB: 2\r\na: 1", ["1", "1"], "1"),
        ("A: 1\r\nA:2", ["1", "2"], "1, 2"),
        ("A: 1\r\n 2\r\n\t3", ["1 2 3"], "1 2 3"),
        ("A: 1\0\r2", ["1 2"], "1 2"),
        ("A: \x1f\xa0 ", ["\x1f\xa0"], "\x1f\xa0"),
        ("A:", [""], ""),
        ("\r\nA: 1", [], ""),
    ],
)
def test_values_of_a_header(lines, values, value):
    head = read(f"HTTP/1.1 200 OK\r\n{lines}\r\n\r\n".encode("latin-1"))

    assert (list(head.all("a")), head.get("A")) == (values, value)


@pytest.mark.parametrize("status", [100, 102, 103, 199])
def test_skips_interim_responses_and_their_headers(status):
    interim = f"HTTP/1.1 {status} Wait\r\nETag: 1\r\n\r\n".encode()

    head = read(interim * 3 + b"HTTP/1.1 404 Gone\r\nA: 1\r\n\r\n")

    assert (head.status, head.get("ETag"), head.get("A")) == (404, "", "1")


@pytest.mark.parametrize(
    "text",
    [b"", b"\r\n", b"HTTP/2 200\r\n\r\n", b"HTTP/1.1 OK\r\n\r\n", b"HTTP/1.1 20\r\n\r\n", b"HTTP/1.1 2000\r\n\r\n",
     b"HTTP/1.1 200OK\r\n\r\n", b"ICY 200 OK\r\n\r\n", b"HTTP/1.1 103 Hints\r\n\r\nhello", b"HTTP/1.1 200 OK\r\n" + b"a" * 70_000],
)  # fmt: skip
def test_refuses_what_is_not_a_response(text):
    with pytest.raises(BadAnswer, match="not valid HTTP"):
        read(text)


def test_the_time_for_a_head_is_linear_in_its_length():
    assert len(read(b"HTTP/1.1 200 OK\r\nA: 1\r\n" + b" x\n" * 300_000 + b"\r\n").get("A")) == 600_001
