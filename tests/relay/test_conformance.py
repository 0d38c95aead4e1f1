"""RFC 6455, byte by byte, with the same options as the relay in production."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator

import pytest
import redis

from tests.relay.conftest import Plain, RunningRelay, play, progress
from tests.relay.raw import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PLAIN,
    PONG,
    SOCKETIO,
    TEXT,
    UPGRADE,
    Got,
    RawClient,
    frame,
)

SUBSCRIBE = b'{"event":"subscribe:task","data":{"taskId":456},"id":1}'


@pytest.fixture(scope="module")
def relay(lasting_redis) -> Iterator[RunningRelay]:
    """One relay for all tests: none of them may damage it."""
    relay = RunningRelay(lasting_redis.revive().url).start()
    yield relay
    assert relay.stop() == 0
    assert relay.close() == ""


def talk(relay: RunningRelay, scenario: Callable[[RawClient], Awaitable[Got]], path: bytes = PLAIN) -> Got:
    async def whole() -> Got:
        client = await RawClient.connect(relay.port, path)
        try:
            return await scenario(client)
        finally:
            await client.close()

    return play(whole())


def after(*frames: bytes) -> Callable[[RawClient], Awaitable[Got]]:
    """Send frames at once, and return the relay's frames."""

    async def scenario(client: RawClient) -> Got:
        client.send(*frames)
        return await client.get()

    return scenario


class TestMessages:
    @pytest.mark.parametrize("cut", [1, 10, len(SUBSCRIBE) - 1])
    def test_a_message_in_two_fragments(self, relay: RunningRelay, cut: int):
        got = talk(relay, after(frame(TEXT, SUBSCRIBE[:cut], fin=False), frame(CONT, SUBSCRIBE[cut:])))

        assert json.loads(got.data)["event"] == "ack"

    def test_a_message_in_fragments_of_a_byte_with_pings_between(self, relay: RunningRelay):
        async def scenario(client: RawClient) -> Got:
            client.send(frame(TEXT, SUBSCRIBE[:1], fin=False))
            for place in range(1, len(SUBSCRIBE)):
                client.send(frame(CONT, SUBSCRIBE[place : place + 1], fin=False), frame(PING, b"%d" % place))
                assert await client.get() == Got(PONG, b"%d" % place)
            client.send(frame(CONT))
            return await client.get()

        assert json.loads(talk(relay, scenario).data)["event"] == "ack"

    def test_a_frame_in_single_bytes(self, relay: RunningRelay):
        async def scenario(client: RawClient) -> Got:
            for byte in frame(TEXT, SUBSCRIBE, mask=b"abcd"):
                client.send(bytes([byte]))
                await client.writer.drain()
            return await client.get()

        assert json.loads(talk(relay, scenario).data)["event"] == "ack"

    def test_many_messages_in_one_packet(self, relay: RunningRelay):
        async def scenario(client: RawClient) -> Got:
            client.send(*[frame(TEXT, b'{"event":"x","id":%d}' % number) for number in range(1000)])
            for number in range(1000):
                assert json.loads((await client.get()).data)["id"] == number
            client.send(frame(TEXT, SUBSCRIBE))
            return await client.get()

        assert json.loads(talk(relay, scenario).data)["event"] == "ack"

    def test_utf8_may_be_cut_within_a_character(self, relay: RunningRelay):
        text = '{"event":"é","id":"ü"}'.encode()
        cut = text.index("é".encode()) + 1
        got = talk(relay, after(frame(TEXT, text[:cut], fin=False), frame(CONT, text[cut:])))

        assert json.loads(got.data)["id"] == "ü"

    def test_64_kib_are_taken_whole_or_in_fragments(self, relay: RunningRelay):
        text = SUBSCRIBE[:-1] + b',"x":"' + b"x" * (65_536 - len(SUBSCRIBE) - 8) + b'"}'
        assert len(text) <= 65_536
        parts = [text[place : place + 1000] for place in range(0, len(text), 1000)]

        whole = talk(relay, after(frame(TEXT, text)))
        cut = talk(
            relay,
            after(
                frame(TEXT, parts[0], fin=False),
                *[frame(CONT, part, fin=False) for part in parts[1:]],
                frame(CONT),
            ),
        )

        assert json.loads(whole.data)["event"] == json.loads(cut.data)["event"] == "ack"


class TestControlFrames:
    @pytest.mark.parametrize("data", [b"", b"x", b"\xff" * 125])
    def test_a_ping_is_answered(self, relay: RunningRelay, data: bytes):
        assert talk(relay, after(frame(PING, data))) == Got(PONG, data)

    def test_a_pong_is_taken(self, relay: RunningRelay):
        assert talk(relay, after(frame(PONG, b"unasked"), frame(PING))) == Got(PONG, b"")

    @pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 4999])
    def test_a_close_is_answered_with_its_code(self, relay: RunningRelay, code: int):
        async def scenario(client: RawClient) -> Got:
            client.send(frame(CLOSE, code.to_bytes(2, "big") + b"bye"))
            got = await client.get()
            await client.end()
            return got

        assert talk(relay, scenario).code == code

    def test_a_close_without_a_code_is_answered_so(self, relay: RunningRelay):
        assert talk(relay, after(frame(CLOSE))) == Got(CLOSE, b"")

    @pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_535])
    def test_a_wrong_code_is_a_protocol_error(self, relay: RunningRelay, code: int):
        assert talk(relay, after(frame(CLOSE, code.to_bytes(2, "big")))).code == 1002

    @pytest.mark.parametrize("data", [b"x", b"\x03\xe8\xff", b"\x03\xe8" + b"x" * 124])
    def test_a_wrong_close_is_an_error(self, relay: RunningRelay, data: bytes):
        assert talk(relay, after(frame(CLOSE, data))).code in (1002, 1007)

    @pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
    def test_a_control_frame_is_short_and_whole(self, relay: RunningRelay, opcode: int):
        assert talk(relay, after(frame(opcode, b"\x03\xe8" + b"x" * 124))).code == 1002
        assert talk(relay, after(frame(opcode, fin=False))).code == 1002

    def test_nothing_is_sent_after_a_close(self, relay: RunningRelay, redis_server):
        async def scenario(client: RawClient) -> Got:
            client.send(frame(TEXT, SUBSCRIBE))
            await client.get()
            client.send(frame(CLOSE, b"\x03\xe8"))
            with redis.Redis.from_url(redis_server.url) as store:
                for _ in range(20):
                    store.publish("task:456:progress", progress(1))
            got = await client.get()
            while got.opcode == TEXT:
                got = await client.get()
            await client.end()
            return got

        assert talk(relay, scenario).code == 1000


class TestProtocolErrors:
    @pytest.mark.parametrize("reserved", [1, 2, 4, 7])
    def test_reserved_bits(self, relay: RunningRelay, reserved: int):
        assert talk(relay, after(frame(TEXT, b"{}", reserved=reserved))).code == 1002

    @pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
    def test_reserved_opcodes(self, relay: RunningRelay, opcode: int):
        assert talk(relay, after(frame(opcode, b"{}"))).code == 1002

    def test_an_unmasked_frame(self, relay: RunningRelay):
        assert talk(relay, after(frame(TEXT, b"{}", mask=None))).code == 1002

    def test_a_continuation_of_nothing(self, relay: RunningRelay):
        assert talk(relay, after(frame(CONT, b"{}"))).code == 1002

    def test_a_message_within_a_message(self, relay: RunningRelay):
        assert talk(relay, after(frame(TEXT, b"{", fin=False), frame(TEXT, b"}"))).code == 1002

    @pytest.mark.parametrize("data", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ok\x80"])
    @pytest.mark.parametrize("path", [PLAIN, SOCKETIO])
    def test_bad_utf8(self, relay: RunningRelay, data: bytes, path: bytes):
        async def scenario(client: RawClient) -> Got:
            if path == SOCKETIO:
                await client.get()
            client.send(frame(TEXT, data))
            return await client.get()

        assert talk(relay, scenario, path).code == 1007

    @pytest.mark.parametrize("path", [PLAIN, SOCKETIO])
    def test_a_binary_message(self, relay: RunningRelay, path: bytes):
        async def scenario(client: RawClient) -> Got:
            if path == SOCKETIO:
                await client.get()
            client.send(frame(BINARY, b"{}"))
            return await client.get()

        assert talk(relay, scenario, path).code == 1003

    def test_more_than_64_kib(self, relay: RunningRelay):
        assert talk(relay, after(frame(TEXT, b"x" * 65_537))).code == 1009

    def test_more_than_64_kib_in_fragments(self, relay: RunningRelay):
        fragments = [frame(CONT, b"x" * 1000, fin=False) for _ in range(66)]
        assert talk(relay, after(frame(TEXT, b"x", fin=False), *fragments)).code == 1009

    def test_a_length_that_does_not_match_the_body(self, relay: RunningRelay):
        async def scenario(client: RawClient) -> Got:
            client.send(b"\x81\xff" + b"\x7f" + b"\xff" * 7 + b"\0\0\0\0")
            return await client.get()

        assert talk(relay, scenario).code == 1009


class TestHandshake:
    @pytest.mark.parametrize(
        ("change", "status"),
        [
            ((b"GET", b"POST"), b" 405 "),
            ((b"HTTP/1.1", b"HTTP/1.0"), b" 505 "),
            ((b"Version: 13", b"Version: 8"), b" 426 "),
            ((b"dGhlIHNhbXBsZSBub25jZQ==", b"x"), b" 400 "),
            ((b"Upgrade: websocket\r\n", b""), b" 426 "),
            ((b"Connection: Upgrade\r\n", b""), b" 426 "),
            ((b"Host: localhost", b"Host: evil.example"), b" 421 "),
            ((b"Host: localhost", b"Host: localhost\r\nHost: evil.example"), b" 400 "),
            ((b"Host: localhost\r\n", b""), b" 400 "),
            ((b"Host: localhost", b"Host: localhost\r\nOrigin: https://evil.example"), b" 403 "),
        ],
        ids=lambda value: value[1][:40] if isinstance(value, tuple) else value,
    )
    def test_a_wrong_one_is_refused(self, relay: RunningRelay, change: tuple[bytes, bytes], status: bytes):
        async def scenario() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
            writer.write((UPGRADE % PLAIN).replace(*change))
            answer = await reader.read(65_536)
            writer.close()
            return answer

        assert status in play(scenario()).partition(b"\r\n")[0] + b" "

    @pytest.mark.parametrize(
        "junk",
        [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 500,
            b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200,
            b"GET /" + b"x" * 9000,
            b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            b"GET /\xff HTTP/1.1\r\n\r\n",
            b"\r\n" * 5000,
            b"GET //[x HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET /?" + b"a&" * 100 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ],
        ids=range(9),
    )
    def test_junk_ends_its_own_connection_only(self, relay: RunningRelay, junk: bytes):
        async def scenario() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
            writer.write(junk)
            writer.write_eof()
            try:
                answer = await reader.read()
            except ConnectionError:
                answer = b""
            writer.close()
            return answer

        answer = play(scenario())

        assert not answer.startswith(b"HTTP/1.1 2")
        assert relay.ask("/healthz").status == 200

    def test_frames_before_the_answer_end_the_connection(self, relay: RunningRelay):
        async def scenario() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
            writer.write(UPGRADE % PLAIN + frame(TEXT, SUBSCRIBE))
            try:
                answer = await reader.read()
            except ConnectionError:
                answer = b""
            writer.close()
            return answer

        assert b"ack" not in play(scenario())

    def test_compression_is_not_agreed_to(self, relay: RunningRelay):
        async def scenario():
            client = await Plain.connect(relay)
            return client.socket.response.headers.get("Sec-WebSocket-Extensions")

        assert play(scenario()) is None


HOSTILE = {
    "4,096 namespaces": [f"40/n{number},{{}}" for number in range(4096)],
    "events before the connect": ['42["subscribe:task",{"taskId":1}]'] * 100,
    "binary events without attachments": ['450-["x"]'] * 100,
    "binary events with attachments": ['455999999-["x",{"_placeholder":true,"num":0}]'] * 100,
    "huge ids": ["42" + "9" * 60_000 + '["x"]'] * 5,
    "deep JSON": ["42" + "[" * 65_000] * 5,
    "long numbers": ['42["x",' + "9" * 60_000 + "]"] * 5,
    "connects again and again": ["40"] * 500,
    "64 KiB of junk": ["x" * 65_536] * 10,
}


@pytest.mark.parametrize("frames", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("connected", [False, True], ids=["before", "after"])
def test_hostile_packets_cost_only_their_own_connection(
    relay: RunningRelay, redis_server, frames: list[str], connected: bool
):
    async def scenario():
        other = await Plain.connect(relay)
        await other.subscribe(task=77)
        client = await RawClient.connect(relay.port, SOCKETIO)
        await client.get()
        if connected:
            client.say("40")
            assert (await client.get()).data.startswith(b"40")
        for packet in frames:
            client.say(packet)
        with redis.Redis.from_url(redis_server.url) as store:
            store.publish("task:77:progress", progress(9, 77))
        heard = await other.hear()
        await client.close()
        return heard

    assert play(scenario())["data"]["data"]["percent"] == 9
