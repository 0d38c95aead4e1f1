"""The relay as clients see it: the real program, real sockets, a real Redis."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess

import pytest
import redis
import websockets

from orderctl import publications
from orderctl.channels import order_complete, order_status, task_progress, task_status
from orderctl.messages import TaskProgress
from tests.relay.conftest import SOON, Plain, RunningRelay, SocketIo, StartRelay, play, progress
from tests.relay.held import HeldRelay, play_held
from tests.relay.raw import UPGRADE
from tests.script import SCRIPT
from tests.servers.strict import DEVELOPMENT, complaints


class TestPlainProtocol:
    def test_a_subscriber_hears_its_task_and_nothing_else(self, relay: RunningRelay, store: redis.Redis):
        async def scenario():
            client = await Plain.connect(relay)
            answer = await client.subscribe(task=456)
            store.publish("task:457:progress", progress(1, 457))
            store.publish("task:456:progress", progress(42))
            return answer, await client.hear()

        answer, heard = play(scenario())

        assert answer == {"event": "ack", "id": 1, "data": {"scope": "task", "id": 456}}
        assert heard["event"] == "progress"
        envelope = heard["data"]
        assert (envelope["scope"], envelope["id"], envelope["type"]) == ("task", 456, "progress")
        assert envelope["data"]["percent"] == 42

    def test_what_orderctl_publishes_arrives(self, relay: RunningRelay, store: redis.Redis):
        async def scenario():
            client = await Plain.connect(relay)
            await client.subscribe(order=123)
            await client.subscribe(task=456)
            publications.publish_progress(
                store, TaskProgress(456, 50.0, "a.mp4", 1.5, 1000, 1, 1), 123, {457: 100.0}
            )
            publications.publish(store, order_status(123), {"orderId": 123, "newStatus": "completed"})
            publications.publish(
                store,
                order_complete(123),
                {"orderId": 123, "totalTasks": 2, "completedTasks": 2, "failedTasks": 0, "timestamp": 1},
            )
            return [await client.hear() for _ in range(4)]

        heard = play(scenario())

        assert [(one["data"]["scope"], one["event"]) for one in heard] == [
            ("task", "progress"),
            ("order", "progress"),
            ("order", "status"),
            ("order", "complete"),
        ]
        assert heard[1]["data"]["data"]["percent"] == 75

    def test_a_new_subscriber_gets_the_last_messages(self, relay: RunningRelay, store: redis.Redis):
        publications.publish(store, task_progress(456), {"taskId": 456, "percent": 77, "timestamp": 1})
        publications.publish(
            store, task_status(456), {"taskId": 456, "newStatus": "downloading", "timestamp": 1}
        )

        async def scenario():
            client = await Plain.connect(relay)
            await client.subscribe(task=456)
            return [await client.hear() for _ in range(2)]

        # A message that reaches the relay only now is sent live, perhaps before the other's snapshot.
        heard = {one["event"]: one["data"]["data"] for one in play(scenario())}

        assert heard.keys() == {"progress", "status"}
        assert heard["progress"]["percent"] == 77

    def test_snapshots_and_live_messages_never_go_backwards(self, relay: RunningRelay, store: redis.Redis):
        """Clients join in the middle of a stream; each gets rising numbers without a gap."""

        async def publish(done: asyncio.Event):
            seq = 0
            while not done.is_set():
                seq += 1
                data = TaskProgress(456, seq % 100, "a", None, 1000, 1, seq)
                await asyncio.to_thread(publications.publish, store, task_progress(456), data.data())
            return seq

        async def listen():
            client = await Plain.connect(relay)
            await client.subscribe(task=456)
            heard = [(await client.hear())["data"]["data"]["seq"] for _ in range(50)]
            client.socket.transport.abort()  # a close would wait for unread messages
            return heard

        async def scenario():
            done = asyncio.Event()
            publishing = asyncio.create_task(publish(done))
            heard = [await listen() for _ in range(10)]
            done.set()
            await publishing
            return heard

        for heard in play(scenario()):
            assert heard == list(range(heard[0], heard[0] + 50))

    def test_an_unsubscriber_hears_no_more(self, relay: RunningRelay, store: redis.Redis):
        async def scenario():
            client = await Plain.connect(relay)
            await client.subscribe(task=1)
            await client.subscribe(task=2)
            await client.call("unsubscribe:task", {"taskId": 1})
            await relay.until("subscriptions", lambda number: number == 1)
            store.publish("task:1:progress", progress(1, 1))
            store.publish("task:2:progress", progress(2, 2))
            return await client.hear()

        assert play(scenario())["data"]["id"] == 2

    @pytest.mark.parametrize(
        ("frame", "error"),
        [
            ("{", "JSON"),
            ("[]", "object"),
            ('{"event":"publish"}', "publish"),
            ('{"event":"subscribe:task","data":{"taskId":"x"},"id":7}', "taskId"),
            ('{"event":"subscribe:task"}', "taskId"),
        ],
    )
    def test_a_wrong_call_is_answered(self, relay: RunningRelay, frame: str, error: str):
        async def scenario():
            client = await Plain.connect(relay)
            await client.socket.send(frame)
            return await client.hear()

        answer = play(scenario())

        assert answer["event"] == "error"
        assert error in answer["error"]

    def test_subscriptions_are_limited(self, start_relay: StartRelay):
        relay = start_relay(relay_max_subscriptions="2")

        async def scenario():
            client = await Plain.connect(relay)
            return [(await client.subscribe(task=number))["event"] for number in (1, 2, 3)]

        assert play(scenario()) == ["ack", "ack", "error"]


class TestJunk:
    def test_junk_is_dropped_and_the_next_good_message_arrives(self, relay: RunningRelay, store: redis.Redis):
        junk = [
            b"[" * 200_000,
            b'{"percent":%s}' % (b"9" * 5000),
            b'{"percent":NaN}',
            b'{"percent":1,"currentFile":"\\ud800"}',
            b'{"percent":1,"currentFile":"\xff"}',
            b'{"percent":"1"}',
            b"x" * 2**20,
        ]

        async def scenario():
            client = await Plain.connect(relay)
            await client.subscribe(task=456)
            for payload in junk:
                store.publish("task:456:progress", payload)
                store.publish("task:999:progress", payload)
            store.publish("task:456:nonsense", progress(1))
            store.publish("task:456:progress", progress(42))
            return await client.hear()

        heard = play(scenario())

        assert heard["data"]["data"]["percent"] == 42
        assert relay.metric("dropped_total", reason="invalid") == 2 * len(junk) + 1

    def test_junk_snapshots_are_dropped(self, relay: RunningRelay, store: redis.Redis):
        store.set("task:456:progress", b"[" * 200_000)
        store.hset("task:456:status", "a", "b")

        async def scenario():
            client = await Plain.connect(relay)
            await client.subscribe(task=456)
            store.publish("task:456:progress", progress(42))
            return await client.hear()

        assert play(scenario())["data"]["data"]["percent"] == 42


class TestEnd:
    @pytest.mark.parametrize("installed", [False, True])
    def test_sigterm_closes_with_1012(self, start_relay: StartRelay, installed: bool):
        relay = start_relay(installed=installed)

        async def scenario():
            clients = [await Plain.connect(relay) for _ in range(5)]
            relay.process.send_signal(signal.SIGTERM)
            return [await client.closed() for client in clients]

        assert play(scenario()) == [1012] * 5
        assert relay.process.wait(SOON) == 0
        assert relay.close() == ""

    def test_sigterm_ends_it_with_50_stalled_clients(self, relay: RunningRelay, store: redis.Redis):
        async def scenario():
            stalled = [stalled_client(relay, 456) for _ in range(50)]
            await relay.until("subscriptions", lambda number: number == 50)
            body = "x" * 15_000
            while relay.metric("paused_clients") < 50:
                for _ in range(20):
                    store.publish("task:456:progress", progress(1, currentFile=body))
            status = await asyncio.to_thread(relay.stop)
            for one in stalled:
                one.close()
            return status

        assert play(scenario()) == 0


def stalled_client(relay: RunningRelay, task_id: int) -> socket.socket:
    """A client that subscribes and then reads nothing."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.connect(("127.0.0.1", relay.port))
    one.sendall(UPGRADE % b"/ws")
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += one.recv(1)
    assert b" 101 " in answer
    body = b'{"event":"subscribe:task","data":{"taskId":%d}}' % task_id
    one.sendall(b"\x81" + bytes([0x80 | len(body)]) + b"\0\0\0\0" + body)
    return one


class TestSlowClients:
    def test_who_does_not_read_is_cut_while_the_others_hear_everything(
        self, relay: RunningRelay, store: redis.Redis
    ):
        body = "x" * 15_000

        async def scenario():
            one = stalled_client(relay, 456)
            client = await Plain.connect(relay)
            await client.subscribe(task=456)
            for number in range(600):  # 9 MB: more than the kernel buffers for a client that does not read
                store.publish("task:456:status", json.dumps({"newStatus": f"{number}{body}"}))
                assert (await client.hear())["data"]["data"]["newStatus"] == f"{number}{body}"
            await relay.until("cut_connections_total", lambda number: number == 1, reason="slow")
            one.close()
            store.publish("task:456:status", json.dumps({"newStatus": "after"}))
            return await client.hear()

        assert play(scenario())["data"]["data"]["newStatus"] == "after"

    def test_who_asks_and_does_not_read_the_answers_is_cut(self, start_relay: StartRelay):
        relay = start_relay(relay_max_messages_per_second="1000000")

        async def scenario():
            reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
            writer.write(UPGRADE % b"/ws")
            await reader.readuntil(b"\r\n\r\n")
            reader._transport.pause_reading()
            ping = b"\x89\xfd" + b"\0\0\0\0" + b"x" * 125

            async def flood():
                while True:
                    writer.write(ping * 100)
                    await writer.drain()

            with pytest.raises(ConnectionError):
                await flood()
            writer.close()

        play(scenario())
        assert relay.metric("cut_connections_total", reason="slow") == 1


class TestIdleAndSlowConnections:
    @pytest.mark.parametrize(
        "said",
        [
            b"",
            b"GET /ws HTTP/1.1\r\nHost: local",
            UPGRADE % b"/socket.io/?EIO=4&transport=websocket",
        ],
        ids=["nothing", "half a request", "no CONNECT"],
    )
    def test_who_does_not_say_who_it_is_has_10_seconds(self, redis_url: str, said: bytes):
        async def scenario(relay: HeldRelay) -> list[bool]:
            reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
            writer.write(said)
            if said.endswith(b"\r\n\r\n"):
                await reader.readuntil(b"\r\n\r\n")
            ended = []
            end = asyncio.create_task(reader.read())
            for seconds in (8.5, 2, 1):
                await relay.pass_time(seconds)
                ended.append(end.done())
            end.cancel()
            writer.close()
            return ended

        ended = play_held(scenario, redis_url)

        assert (ended[0], ended[-1]) == (False, True)

    def test_an_address_has_its_limit(self, start_relay: StartRelay):
        relay = start_relay("--max-connections-per-address", "3")

        async def scenario():
            clients = [await Plain.connect(relay) for _ in range(3)]
            with pytest.raises(websockets.InvalidStatus) as refused:
                await Plain.connect(relay)
            await clients[0].socket.close()
            async with asyncio.timeout(SOON):
                while True:
                    try:
                        return refused, await Plain.connect(relay)
                    except websockets.InvalidStatus:
                        await asyncio.sleep(0.05)

        refused, _ = play(scenario())
        assert refused.value.response.status_code == 503


@pytest.mark.databases("sqlite")
def test_python_has_nothing_to_complain_of(
    start_relay: StartRelay, store: redis.Redis, migrated_url: str, monkeypatch: pytest.MonkeyPatch
):
    """Clients of each kind, requests, malformed frames and SIGTERM, in Python's development mode."""
    for name, value in DEVELOPMENT.items():
        monkeypatch.setenv(name, value)
    relay = start_relay(database_url=migrated_url)

    async def scenario():
        plain, socketio = await Plain.connect(relay), await SocketIo.connect(relay)
        await plain.subscribe(task=456)
        await socketio.subscribe(task=456)
        store.publish("task:456:progress", "junk")
        store.publish("task:456:progress", progress(42))
        await plain.hear()
        await socketio.hear()
        socketio.socket.transport.abort()
        return [
            (await asyncio.to_thread(relay.ask, path)).status
            for path in (
                "/",
                "/healthz",
                "/metrics",
                "/api/admin/orders/paid",
                "/api/admin/dashboard/stats",
                "/x",
            )
        ]

    assert play(scenario()) == [200] * 5 + [404]
    assert relay.stop() == 0
    assert complaints(relay.close()) == []


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_an_ipv6_address_may_have_brackets(start_relay: StartRelay, host: str):
    relay = start_relay("--host", host)

    probed = subprocess.run(
        [str(SCRIPT), "relay", "probe", "--host", host, "--port", str(relay.port)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (probed.returncode, probed.stdout) == (0, "ok\n")


def test_a_port_that_is_taken_is_said_in_few_words(relay: RunningRelay):
    second = subprocess.run(
        [str(SCRIPT), "relay", "start", "--port", str(relay.port)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert second.returncode == 78
    assert f"cannot listen on 127.0.0.1 port {relay.port}: Address already in use\n" in second.stderr
