"""Connections of HTTP clients: bodies, pipelining, HEAD, half-closed sockets and other protocols."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.relay.conftest import SECRET, RunningRelay, StartRelay, mint
from tests.relay.wire import Answer, Caller, ask, chunks, complaint_about_api, is_probed, probe, request, talk

STATS = "/api/admin/dashboard/stats"
CHUNKED = "Transfer-Encoding: chunked"


@pytest.fixture(scope="module")
def relay(lasting_redis) -> Iterator[RunningRelay]:
    """One relay for all tests of this module: none of them may damage it."""
    relay = RunningRelay(lasting_redis.revive().url, "--max-connections-per-address", "0").start()
    yield relay
    assert relay.stop() == 0
    assert relay.close() == ""


class TestBodies:
    def test_a_session_is_opened_by_a_post_with_a_body(self, start_relay: StartRelay):
        relay = start_relay(relay_token_secret=SECRET)
        fields = [f"Authorization: Bearer {mint('admin')}", "X-Orderctl-Action: 1"]
        counted = request("POST", "/api/session", *fields, body=b'{"a": 1}')
        chunked = request("POST", "/api/session", *fields, CHUNKED) + chunks(b"{", b"}")
        without = request("POST", "/api/session", fields[0], body=b"{}")

        async def scenario(caller: Caller) -> list[Answer]:
            return [await caller.ask(data) for data in (counted, chunked, without, counted)]

        answers = talk(relay.port, scenario)

        assert [answer.status for answer in answers] == [200, 200, 403, 200]
        assert answers[0].headers["set-cookie"].startswith("orderctl_token=")
        assert complaint_about_api(answers[2], "/api/session") is None

    def test_a_client_that_expects_100_gets_it_before_it_sends_the_body(self, relay: RunningRelay):
        head = request("GET", "/healthz", "Expect: 100-continue", "Content-Length: 3")

        async def scenario(caller: Caller) -> tuple[bytes, Answer, Answer]:
            caller.send(head)
            interim = await caller.reader.readuntil(b"\r\n\r\n")
            return interim, await caller.ask(b"abc"), await caller.ask(probe(1))

        interim, answer, probed = talk(relay.port, scenario)

        assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (answer.status, is_probed(probed, 1)) == (200, True)

    def test_a_body_that_is_refused_is_not_waited_for(self, relay: RunningRelay):
        head = request("POST", "/healthz", "Expect: 100-continue", "Content-Length: 99999999")

        answer, kept = ask(relay.port, head)

        assert (answer.status, answer.interim, kept) == (413, (), False)

    def test_the_answer_arrives_though_the_client_still_sends(self, relay: RunningRelay):
        """Closing with unread bytes would let the client's machine drop the answer."""
        data = request("POST", "/api/session", "Content-Length: 99999999") + b"x" * 300_000

        answer, kept = ask(relay.port, data)

        assert (answer.status, kept) == (413, False)


class TestConnections:
    def test_pipelined_requests_are_answered_in_order(self, relay: RunningRelay):
        batch = [
            probe(1),
            request("GET", "/healthz", body=b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            request("HEAD", "/metrics"),
            probe(2),
            request("PUT", "/healthz", CHUNKED) + chunks(b"x"),
            probe(3),
        ]

        async def scenario(caller: Caller) -> list[Answer]:
            caller.send(b"".join(batch))
            return [await caller.answer(to_head=data.startswith(b"HEAD")) for data in batch]

        answers = talk(relay.port, scenario)

        assert [answer.status for answer in answers] == [400, 200, 200, 400, 405, 400]
        assert [is_probed(answers[place], number) for place, number in ((0, 1), (3, 2), (5, 3))] == [True] * 3

    def test_nothing_behind_a_malformed_request_is_answered(self, relay: RunningRelay):
        malformed = request("GET", "/healthz", CHUNKED, body=b"0\r\n\r\n")

        async def scenario(caller: Caller) -> tuple[Answer, Answer, bytes]:
            caller.send(request("GET", "/healthz") + malformed + request("GET", "/metrics"))
            return await caller.answer(), await caller.answer(), await caller.rest()

        first, second, rest = talk(relay.port, scenario)

        assert (first.status, second.status, second.closes, rest) == (200, 400, True, b"")

    def test_head_has_the_length_and_no_body(self, relay: RunningRelay):
        async def scenario(caller: Caller) -> list[Answer]:
            return [
                await caller.ask(request(method, "/healthz")) for method in ("HEAD", "GET", "HEAD", "GET")
            ]

        head, got, *_ = answers = talk(relay.port, scenario)

        assert [len(answer.body) for answer in answers] == [0, len(got.body)] * 2
        assert head.headers["content-length"] == str(len(got.body)) != "0"

    def test_a_request_in_single_bytes(self, relay: RunningRelay):
        async def scenario(caller: Caller) -> Answer:
            for byte in request("GET", "/healthz", CHUNKED) + chunks(b"ab", b"c") + probe(5):
                caller.send(bytes([byte]))
                await caller.writer.drain()
            assert (await caller.answer()).status == 200
            return await caller.answer()

        assert is_probed(talk(relay.port, scenario), 5)

    @pytest.mark.parametrize(
        "data", [request("GET", "/healthz"), probe(6), request("GET", STATS)], ids=range(3)
    )
    def test_a_client_that_sends_no_more_gets_its_answer(self, relay: RunningRelay, data: bytes):
        async def scenario(caller: Caller) -> tuple[Answer, bytes]:
            caller.send(data)
            caller.writer.write_eof()
            return await caller.answer(), await caller.rest()

        answer, rest = talk(relay.port, scenario)

        assert answer.status in {200, 400, 503}  # 503: this database has no tables
        assert rest == b""

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"GET /healthz HT",
            request("GET", "/healthz", "Content-Length: 5") + b"abc",
            request("GET", "/healthz", CHUNKED) + b"5\r\nab",
        ],
        ids=["nothing", "half a head", "half a body", "half a chunk"],
    )
    def test_a_request_that_is_cut_off_ends(self, relay: RunningRelay, data: bytes):
        async def scenario(caller: Caller) -> bytes:
            caller.send(data)
            caller.writer.write_eof()
            return await caller.rest()

        assert not talk(relay.port, scenario).startswith(b"HTTP/1.1 2")

    @pytest.mark.parametrize(
        "data",
        [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
            b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"x" * 500,
            b"\xff" * 3000,
            b"\r\n" * 9000,
            b"SSH-2.0-OpenSSH_9.6\r\n",
        ],
        ids=["HTTP/2", "TLS", "binary", "empty lines", "SSH"],
    )
    def test_other_protocols_are_refused(self, relay: RunningRelay, data: bytes):
        async def scenario(caller: Caller) -> bytes:
            caller.send(data)
            caller.writer.write_eof()
            return await caller.rest()

        said = talk(relay.port, scenario)

        assert not said or said.partition(b" ")[2][:3] in {b"400", b"431", b"505"}

    def test_a_websocket_after_requests_on_one_connection(self, relay: RunningRelay):
        lines = ["Upgrade: websocket", "Connection: keep-alive, Upgrade", "Sec-WebSocket-Version: 13"]
        upgrade = request("GET", "/ws", *lines, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")

        async def scenario(caller: Caller) -> tuple[int, int, bytes]:
            first = (await caller.ask(request("GET", "/healthz"))).status
            second = (await caller.ask(upgrade)).status
            caller.send(b"\x89\x80\0\0\0\0")
            return first, second, await caller.reader.readexactly(2)

        assert talk(relay.port, scenario) == (200, 101, b"\x8a\0")
