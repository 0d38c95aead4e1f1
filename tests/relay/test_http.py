"""HTTP/1.1 without sockets: which requests bytes are, and which bytes a reply is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.relay.http import MAX_HEAD, Malformed, Stream
from orderctl.relay.web import Reply, Request

HOST = b"Host: localhost\r\n"
GET = b"GET /healthz?a=1 HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /api/session HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"PUT /x HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nX: y\r\n\r\n"
)
LIMIT = 10


def stream() -> Stream:
    return Stream(lambda _request: LIMIT)


def read(data: bytes) -> list[tuple[str, str, bytes]]:
    """Answer all requests in some bytes; return their methods, paths and bodies."""
    return play(stream(), data)[0]


def play(chosen: Stream, data: bytes) -> tuple[list[tuple[str, str, bytes]], bytes, bool]:
    found, answers, goes_on = [], b"", True
    chosen.receive(data)
    while goes_on and (request := chosen.next_request()) is not None:
        found.append((request.method, request.path, request.body))
        answers += chosen.answer(Reply(200, b"hi"))
        goes_on = chosen.turn()
    return found, answers, goes_on


def refused(data: bytes, limit: int = LIMIT) -> Malformed:
    chosen = Stream(lambda _request: limit)
    chosen.receive(data)
    with pytest.raises(Malformed) as error:
        answer_all(chosen)
    answer = chosen.answer(Reply(error.value.status, b"sorry"), last=True)
    assert answer.startswith(b"HTTP/1.1 %d " % error.value.status)
    assert b"\r\nConnection: close\r\n" in answer
    return error.value


def answer_all(chosen: Stream) -> None:
    while chosen.next_request() is not None:
        chosen.answer(Reply(200))
        chosen.turn()


class TestReading:
    def test_requests_follow_each_other_on_one_connection(self):
        assert read(GET + POST + CHUNKED + GET) == [
            ("GET", "/healthz", b""),
            ("POST", "/api/session", b"hello"),
            ("PUT", "/x", b"hello"),
            ("GET", "/healthz", b""),
        ]

    @given(st.lists(st.integers(0, len(GET + POST + CHUNKED)), max_size=20))
    def test_how_the_bytes_are_cut_does_not_matter(self, cuts: list[int]):
        data = b"\r\n" + GET + POST + CHUNKED
        chosen, found, start = stream(), [], 0
        for end in [*sorted(cuts), len(data)]:
            if end > start:
                found += play(chosen, data[start:end])[0]
            start = max(start, end)

        assert found == read(data)

    def test_the_rest_of_a_request_is_waited_for(self):
        chosen = stream()
        assert chosen.idle
        chosen.receive(b"\r\n")
        assert chosen.idle
        chosen.receive(POST[:-3])
        assert chosen.next_request() is None
        assert (chosen.idle, chosen.in_body) == (False, True)

    def test_a_client_that_asks_first_gets_a_word_before_it_sends_the_body(self):
        chosen = stream()
        chosen.receive(POST.replace(b"Content", b"Expect: 100-continue\r\nContent").removesuffix(b"hello"))

        assert chosen.next_request() is None
        assert chosen.wants_continue
        assert chosen.proceed() == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert not chosen.wants_continue
        assert play(chosen, b"hello")[0] == [("POST", "/api/session", b"hello")]

    @pytest.mark.parametrize(
        ("target", "path", "host"),
        [
            (b"/metrics", "/metrics", "localhost"),
            (b"//x/metrics", "//x/metrics", "localhost"),
            (b"/./metrics", "/./metrics", "localhost"),
            (b"/%6detrics", "/%6detrics", "localhost"),
            (b"http://shop.example:80/metrics?a=1", "/metrics", "shop.example:80"),
            (b"HTTPS://shop.example", "/", "shop.example"),
            (b"*", "*", "localhost"),
        ],
    )
    def test_a_path_is_what_a_proxy_in_front_has_seen(self, target: bytes, path: str, host: str):
        chosen = stream()
        chosen.receive(b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n")
        request = chosen.next_request()

        assert request is not None
        assert (request.path, request.headers["host"]) == (path, host)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
        (b"GET /#x HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET metrics HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /?" + b"a&" * 60 + b"a=b HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"Odd Name: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"y" * MAX_HEAD + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"y" * 2 * MAX_HEAD, 431),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 11\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1, 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nx\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ],
)  # fmt: skip
def test_what_is_not_valid_is_refused(data: bytes, status: int):
    assert refused(data).status == status
    assert refused(GET + data).status == status


class TestRefusing:
    def test_a_body_of_many_chunks_is_refused_before_it_costs_other_clients_time(self):
        head = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"

        assert refused(head + b"1\r\nx\r\n" * 2000, limit=10_000).status == 413

    @pytest.mark.parametrize("piece", [1, 1000, 10**6])
    def test_how_much_arrives_at_once_does_not_matter(self, piece: int):
        """What is complete is too large as well: to read it would cost other clients time."""
        chosen = Stream(lambda _request: LIMIT)
        data = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"
        data += b"a:b\r\n" * 10_000 + b"\r\n"

        def take() -> None:
            for start in range(0, len(data), piece):
                chosen.receive(data[start : start + piece])
                chosen.next_request()

        with pytest.raises(Malformed, match="trailers") as error:
            take()
        assert error.value.status == 431

    def test_the_answer_knows_what_was_asked(self):
        error = refused(b"GET /api/admin/orders/paid?x=1 HTTP/1.1\r\n" + HOST + b"Odd Name: x\r\n\r\n")

        assert (error.request.method, error.request.path) == ("GET", "/api/admin/orders/paid")

    @pytest.mark.parametrize(
        ("data", "method"),
        [
            (b"GET /api/x?" + b"a&" * 60 + b"a=b HTTP/1.1\r\n" + HOST + b"\r\n", "GET"),
            (b"GET http://localhost/api/x?" + b"a&" * 60 + b"a=b HTTP/1.1\r\n" + HOST + b"\r\n", "GET"),
            (b"GET /api/x#y HTTP/1.1\r\n" + HOST + b"\r\n", "GET"),
            (b"get /api/x HTTP/1.1\r\n" + HOST + HOST + b"\r\n", "get"),
            (b"M-SEARCH /api/x HTTP/1.1\r\n\r\n", "M-SEARCH"),
            (b"GET\t/api/x\tHTTP/1.1\r\n" + HOST + b"\r\n", "GET"),
            (b"GET  /api/x  HTTP/1.1\r\n" + HOST + b"\r\n", "GET"),
        ],
    )
    def test_the_answer_knows_what_was_asked_however_malformed_it_is(self, data: bytes, method: str):
        assert refused(data).request == Request(method, "/api/x")

    def test_nothing_was_asked(self):
        assert refused(b"\x00\x01\r\n\r\n").request == Request("GET", "")

    def test_what_the_client_sent_is_not_repeated(self):
        data = b"GET / HTTP/1.1\r\n" + HOST + b"Author ization: Bearer s3cret\r\n\r\n"

        assert str(refused(data)) == "illegal header line"

    def test_the_end_of_the_stream_in_the_middle_of_a_request(self):
        chosen = stream()
        chosen.receive(POST[:-1])
        assert chosen.next_request() is None
        chosen.receive(b"")
        with pytest.raises(Malformed) as error:
            chosen.next_request()
        assert error.value.status == 400


class TestAnswering:
    @pytest.mark.parametrize(
        ("data", "goes_on"),
        [
            (GET, True),
            (POST, True),
            (GET.replace(b"Host", b"Connection: close\r\nHost"), False),
            (GET.replace(b"1.1", b"1.0"), False),
            (GET.replace(b"Host", b"Upgrade: h2c\r\nConnection: Upgrade\r\nHost"), True),
        ],
    )
    def test_the_connection_ends_only_where_the_answer_says_so(self, data: bytes, goes_on: bool):
        _, answer, kept = play(stream(), data)

        assert kept is goes_on
        assert (b"\r\nConnection: close\r\n" in answer) is not goes_on
        assert answer.endswith(b"\r\n\r\nhi")

    @pytest.mark.parametrize("status", [200, 204, 304])
    def test_an_answer_without_a_body(self, status: int):
        chosen = stream()
        chosen.receive(GET.replace(b"GET", b"HEAD") + GET)
        assert chosen.next_request() is not None
        head = chosen.answer(Reply(status, b"hi"))
        assert head.endswith(b"\r\n\r\n")
        assert (b"Content-Length: 2\r\n" in head) is (status == 200)
        assert chosen.turn()
        assert chosen.next_request() is not None
        assert chosen.answer(Reply(200, b"hi")).endswith(b"hi")
