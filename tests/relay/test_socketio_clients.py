"""Socket.IO clients: packet by packet, and python-socketio's own client."""

from __future__ import annotations

import asyncio
import json
import signal

import pytest
import redis
import socketio
import websockets

from orderctl import publications
from orderctl.channels import task_progress
from tests.relay.conftest import SOON, RunningRelay, SocketIo, StartRelay, play, progress
from tests.servers.redis import RedisServer
from tests.waiting import eventually_async


class TestPackets:
    def test_the_handshake(self, relay: RunningRelay):
        async def scenario():
            url = f"ws://127.0.0.1:{relay.port}/socket.io/?EIO=4&transport=websocket"
            async with websockets.connect(url, proxy=None) as client:
                opening = await client.recv()
                await client.send("40")
                return opening, await client.recv()

        opening, connected = play(scenario())

        assert opening[0] == "0"
        handshake = json.loads(opening[1:])
        assert handshake["upgrades"] == []
        assert (handshake["pingInterval"], handshake["pingTimeout"]) == (25000, 20000)
        assert connected[:2] == "40"
        assert set(json.loads(connected[2:])) == {"sid", "pid"}

    def test_an_event_has_one_argument_with_a_numeric_id(self, relay: RunningRelay, store: redis.Redis):
        async def scenario():
            client = await SocketIo.connect(relay)
            await client.subscribe(task=456)
            store.publish("task:456:progress", progress(42))
            return await client.hear()

        name, argument = play(scenario())

        assert name == "progress"
        assert (argument["scope"], argument["id"], argument["type"]) == ("task", 456, "progress")
        assert argument["data"]["percent"] == 42

    def test_a_call_is_acknowledged_where_that_is_asked_for(self, relay: RunningRelay):
        async def scenario():
            client = await SocketIo.connect(relay)
            answers = [
                await client.say('427["subscribe:task",{"taskId":456}]'),
                await client.say('428["subscribe:task",{"taskId":"x"}]'),
                await client.say('429["publish",{}]'),
            ]
            await client.socket.send('42["publish",{}]')
            await client.socket.send('42["subscribe:task",{"taskId":457}]')
            return [*answers, await client.say('4210["unsubscribe:task",{"taskId":456}]')]

        answers = play(scenario())

        assert answers[0] == '437[{"ok":true,"scope":"task","id":456}]'
        assert [json.loads(answer[3:])[0]["ok"] for answer in answers[1:3]] == [False, False]
        assert answers[3].startswith("4310")

    def test_another_namespace_is_refused_and_the_root_stays(self, relay: RunningRelay):
        async def scenario():
            client = await SocketIo.open(relay)
            refused = await client.say("40/admin,{}")
            return refused, await client.say("40")

        refused, connected = play(scenario())

        assert refused == '44/admin,{"message":"Invalid namespace"}'
        assert connected.startswith("40")

    @pytest.mark.parametrize(
        "frame",
        [
            '42["subscribe:task",{"taskId":1}]',
            "4",
            "9",
            "2probe",
            '450-["x"]',
            '455999999-["x",{"_placeholder":true,"num":0}]',
            "42" + "[" * 60_000,
            b"\x04binary",
        ],
        ids=lambda frame: str(frame)[:20],
    )
    def test_a_wrong_packet_ends_its_own_connection_only(self, relay: RunningRelay, frame: str | bytes):
        async def scenario():
            other = await SocketIo.connect(relay)
            wrong = await SocketIo.open(relay)
            await wrong.socket.send(frame)
            return await wrong.closed(), await other.subscribe(task=1)

        code, answer = play(scenario())

        assert code == (1003 if isinstance(frame, bytes) else 1008)
        assert answer["ok"]

    def test_a_message_over_64_kib_ends_its_connection(self, relay: RunningRelay):
        async def scenario():
            client = await SocketIo.connect(relay)
            await client.socket.send("42" + "x" * 65_536)
            return await client.closed()

        assert play(scenario()) == 1009

    def test_a_goodbye_is_answered(self, relay: RunningRelay):
        async def scenario():
            clients = [await SocketIo.connect(relay) for _ in range(2)]
            for client, goodbye in zip(clients, ("41", "1"), strict=True):
                await client.socket.send(goodbye)
            return [await client.closed() for client in clients]

        assert play(scenario()) == [1000, 1000]

    def test_the_dashboards_churn_neither_loses_nor_doubles_anything(
        self, relay: RunningRelay, store: redis.Redis
    ):
        """After every message it unsubscribes from all its tasks and subscribes again."""
        for task_id in (1, 2, 3):
            publications.publish(store, task_progress(task_id), {"percent": 0, "timestamp": 1})

        async def scenario():
            client = await SocketIo.connect(relay)
            for task_id in (1, 2, 3):
                await client.socket.send(f'42["subscribe:task",{{"taskId":{task_id}}}]')
            heard = [(await client.hear())[1] for _ in range(3)]
            for percent in range(1, 31):
                store.publish(f"task:{percent % 3 + 1}:progress", progress(percent, percent % 3 + 1))
                heard.append((await client.hear())[1])
                for event in ("unsubscribe", "subscribe"):
                    for task_id in (1, 2, 3):
                        await client.socket.send(f'42["{event}:task",{{"taskId":{task_id}}}]')
            await client.call("unsubscribe:task", {"taskId": 9})
            store.publish("task:1:progress", progress(99, 1))
            heard.append((await client.hear())[1])
            return heard

        heard = play(scenario())

        assert [one["data"]["percent"] for one in heard] == [0, 0, 0, *range(1, 31), 99]

    def test_polling_is_answered_with_what_to_do(self, relay: RunningRelay):
        answer = relay.ask("/socket.io/?EIO=4&transport=polling&t=abc")

        assert answer.status == 400
        assert 'transports: ["websocket"]' in answer.json["message"]

    def test_an_older_protocol_is_refused(self, relay: RunningRelay):
        async def scenario():
            with pytest.raises(websockets.InvalidStatus) as refused:
                await websockets.connect(
                    f"ws://127.0.0.1:{relay.port}/socket.io/?EIO=3&transport=websocket", proxy=None
                )
            return refused.value.response.status_code

        assert play(scenario()) == 400


class TestRecovery:
    @staticmethod
    async def subscribed(relay: RunningRelay, store: redis.Redis) -> SocketIo:
        client = await SocketIo.connect(relay)
        await client.subscribe(task=456)
        await client.subscribe(order=123)
        await eventually_async(lambda: len(kept(store)) == 2, "two sessions")
        return client

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
    def test_subscriptions_come_back_after_a_restart(
        self, start_relay: StartRelay, store: redis.Redis, number: signal.Signals
    ):
        relay = start_relay()

        async def scenario():
            client = await self.subscribed(relay, store)
            await asyncio.to_thread(relay.stop, number)
            packets = [packet async for packet in remaining(client)]
            code = await client.closed()
            publications.publish(store, task_progress(456), {"percent": 42, "timestamp": 1})
            relay.close()
            await asyncio.to_thread(relay.start)
            again = await SocketIo.connect(relay, client.session | {"offset": "x"})
            heard = [await again.hear()]
            store.publish("order:123:progress", json.dumps({"percent": 50}))
            return packets, code, client.session, again.session, [*heard, await again.hear()]

        packets, code, before, after, heard = play(scenario())

        assert packets == []
        assert code == (1012 if number is signal.SIGTERM else 1006)
        assert after == before
        assert [(one["scope"], one["data"]["percent"]) for _, one in heard] == [("task", 42), ("order", 50)]

    def test_another_relay_takes_over(self, start_relay: StartRelay, store: redis.Redis):
        first, second = start_relay(), start_relay()

        async def scenario():
            client = await self.subscribed(first, store)
            client.socket.transport.abort()
            again = await SocketIo.connect(second, {"pid": client.session["pid"]})
            await second.until("subscriptions", lambda number: number == 2)
            store.publish("task:456:progress", progress(7))
            return client.session, again.session, await again.hear()

        before, after, heard = play(scenario())

        assert after == before
        assert heard[1]["data"]["percent"] == 7

    def test_it_is_kept_for_two_minutes_under_a_digest(self, relay: RunningRelay, store: redis.Redis):
        async def scenario():
            client = await self.subscribed(relay, store)
            present = store.ttl(only_key(store))
            client.socket.transport.abort()
            await relay.until("connections", lambda number: number == 1)
            return client.session, present, store.ttl(only_key(store))

        session, present, away = play(scenario())

        assert 120 < present <= 150
        assert 110 < away <= 120
        assert session["pid"].encode() not in only_key(store)
        assert session["pid"].encode() not in store.get(only_key(store))

    def test_a_goodbye_forgets(self, relay: RunningRelay, store: redis.Redis):
        async def scenario():
            client = await self.subscribed(relay, store)
            await client.socket.send("41")
            await client.closed()
            again = await SocketIo.connect(relay, {"pid": client.session["pid"]})
            return client.session["pid"], again.session["pid"]

        before, after = play(scenario())

        assert before != after
        assert kept(store) == []

    @pytest.mark.parametrize("pid", ["", "x", "x" * 65, 1, None, [], {"a": 1}])
    def test_an_unknown_pid_begins_anew(self, relay: RunningRelay, pid: object):
        async def scenario():
            return (await SocketIo.connect(relay, {"pid": pid})).session["pid"]

        assert play(scenario()) not in ("", "x", pid)

    def test_junk_in_the_store_begins_anew(self, relay: RunningRelay, store: redis.Redis):
        async def scenario():
            client = await self.subscribed(relay, store)
            key = only_key(store)
            client.socket.transport.abort()
            await relay.until("connections", lambda number: number == 1)
            again = []
            for junk in (
                b"{",
                b"[]",
                b'{"sid":"x","rooms":[["task","1"]]}',
                b'{"sid":"x","rooms":[["x",1]]}',
            ):
                store.set(key, junk)
                again.append((await SocketIo.connect(relay, client.session)).session["pid"])
            return client.session["pid"], again

        before, again = play(scenario())

        assert before not in again

    def test_a_store_that_comes_back_empty_gets_the_session_again(self, start_relay: StartRelay, own_redis):
        server: RedisServer = own_redis()
        relay = start_relay(redis_url=server.url)

        async def scenario():
            with redis.Redis.from_url(server.url) as store:
                await self.subscribed(relay, store)
            server.kill()
            await relay.until("redis_up", lambda up: up == 0)
            server.start()
            with redis.Redis.from_url(server.url) as store:
                await eventually_async(lambda: len(kept(store)) == 2, "two sessions")

        play(scenario())


def only_key(store: redis.Redis) -> bytes:
    (key,) = store.keys("orderctl:relay:session:*")
    return key


def kept(store: redis.Redis) -> list[object]:
    keys = store.keys("orderctl:relay:session:*")
    return json.loads(store.get(keys[0]) or "{}").get("rooms", []) if keys else []


async def remaining(client: SocketIo):
    try:
        async for packet in client.socket:
            yield packet
    except websockets.ConnectionClosed:
        return


def test_python_socketios_client(relay: RunningRelay, store: redis.Redis):
    publications.publish(store, task_progress(456), {"percent": 3, "timestamp": 1})

    async def scenario():
        client = socketio.AsyncClient(reconnection=False)
        heard: asyncio.Queue[object] = asyncio.Queue()
        client.on("progress", heard.put_nowait)
        client.on("status", heard.put_nowait)
        await client.connect(relay.url, transports=["websocket"])
        try:
            answer = await client.call("subscribe:task", {"taskId": 456}, timeout=SOON)
            first = await heard.get()
            store.publish("task:456:status", json.dumps({"newStatus": "completed"}))
            return answer, first, await heard.get()
        finally:
            await client.disconnect()

    answer, first, second = play(scenario())

    assert answer == {"ok": True, "scope": "task", "id": 456}
    assert first["data"] == {"percent": 3, "timestamp": 1}
    assert second["data"] == {"newStatus": "completed"}
