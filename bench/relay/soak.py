"""Run the relay under load for an hour: memory and file descriptors must not grow after the first minutes.

    python bench/relay/soak.py [--minutes 60]

The load: dashboards that resubscribe after each message, customers that connect and leave, clients that never
read, 200 messages per second, and a restart of Redis every ten minutes. Prints a line each minute; exits with
1 when something has grown.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the wheel does not contain bench and tests

import redis
import redis.asyncio
import websockets

from bench.relay.servers import SOCKETIO, Footprint, Relay, running_relay
from tests.relay.raw import RawClient

TASKS = 300
DASHBOARDS = 30
CUSTOMERS = 40
STALLED = 5
RATE = 200
#: Minutes before the first comparison: by then every kind of load has occurred once.
WARM_MINUTES = 12


async def publish(url: str, counts: dict[str, int]) -> None:
    """Publish progress and sometimes a status, also while Redis is away."""
    store = redis.asyncio.Redis.from_url(url, socket_timeout=2)
    while True:
        task_id, kind = random.randrange(TASKS) + 1, random.choice(["progress"] * 9 + ["status"])
        data = {"taskId": task_id, "timestamp": int(time.time() * 1000)}
        if kind == "progress":
            data |= {
                "percent": random.randrange(100),
                "currentFile": "x" * random.randrange(100),
                "speed": 1e6,
            }
        else:
            data |= {"newStatus": "downloading", "previousStatus": "enrolled"}
        name = f"task:{task_id}:{kind}"
        with suppress(redis.RedisError, OSError):
            async with store.pipeline() as pipe:
                await pipe.publish(name, json.dumps(data)).set(name, json.dumps(data), ex=3600).execute()
            counts["published"] += 1
        await asyncio.sleep(1 / RATE)


async def dashboard(port: int, counts: dict[str, int]) -> None:
    """Subscribe to twenty tasks, resubscribe after each message, and reconnect with the pid."""
    tasks, auth = random.sample(range(1, TASKS + 1), 20), ""
    while True:
        with suppress(OSError, websockets.WebSocketException, TimeoutError):
            url = f"ws://127.0.0.1:{port}{SOCKETIO.decode()}"
            async with websockets.connect(url, proxy=None, compression=None) as socket:
                await socket.recv()
                await socket.send(f"40{auth}")
                answer = await socket.recv()
                auth = answer[2:]
                for task_id in tasks:
                    await socket.send(f'42["subscribe:task",{{"taskId":{task_id}}}]')
                until = time.monotonic() + random.uniform(60, 600)
                while time.monotonic() < until:
                    async with asyncio.timeout(60):
                        packet = await socket.recv()
                    if packet == "2":
                        await socket.send("3")
                    elif packet.startswith("42"):
                        counts["heard"] += 1
                        for event in ("unsubscribe", "subscribe"):
                            for task_id in tasks[:3]:
                                await socket.send(f'42["{event}:task",{{"taskId":{task_id}}}]')
        await asyncio.sleep(random.uniform(0.5, 5))


async def customer(port: int, counts: dict[str, int]) -> None:
    """Subscribe to one task for a while, then close or abort the connection."""
    while True:
        with suppress(OSError, websockets.WebSocketException, TimeoutError):
            socket = await websockets.connect(f"ws://127.0.0.1:{port}/ws", proxy=None, compression=None)
            await socket.send(
                json.dumps({"event": "subscribe:task", "data": {"taskId": random.randrange(TASKS) + 1}})
            )
            until = time.monotonic() + random.expovariate(1 / 15)
            with suppress(TimeoutError):
                async with asyncio.timeout(until - time.monotonic()):
                    async for _ in socket:
                        counts["heard"] += 1
            if random.random() < 0.5:
                socket.transport.abort()
            await socket.close()
            counts["visits"] += 1


async def stalled(port: int, counts: dict[str, int]) -> None:
    """Subscribe to all tasks and read nothing until the relay ends the connection."""
    while True:
        with suppress(OSError, AssertionError, TimeoutError, asyncio.IncompleteReadError):
            client = await RawClient.connect(port)
            client.writer.transport.pause_reading()
            for task_id in range(1, TASKS + 1):
                client.say(json.dumps({"event": "subscribe:task", "data": {"taskId": task_id}}))
            while not client.writer.transport.is_closing():
                client.say('{"event":"x"}')
                await asyncio.sleep(1)
            counts["stalls"] += 1
        await asyncio.sleep(5)


async def watch(relay: Relay, minutes: int, counts: dict[str, int]) -> list[Footprint]:
    seen = []
    for minute in range(1, minutes + 1):
        await asyncio.sleep(60)
        seen.append(relay.footprint())
        print(f"minute {minute}: {seen[-1]} {counts}", flush=True)
        assert relay.process.poll() is None, "the relay has ended"
        if minute % 10 == 0:
            await asyncio.to_thread(relay.store.restart)
    return seen


async def soak(minutes: int) -> int:
    counts = dict.fromkeys(("published", "heard", "visits", "stalls"), 0)
    with running_relay("--max-connections-per-address", "0") as relay:
        works = [publish(relay.redis_url, counts)]
        works += [dashboard(relay.port, counts) for _ in range(DASHBOARDS)]
        works += [customer(relay.port, counts) for _ in range(CUSTOMERS)]
        works += [stalled(relay.port, counts) for _ in range(STALLED)]
        tasks = [asyncio.create_task(work) for work in works]
        seen = await watch(relay, minutes, counts)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        said = relay.stop()
    warm = seen[min(WARM_MINUTES, len(seen) // 3) :]
    third = max(1, len(warm) // 3)
    rss = [sorted(one.rss_kib for one in part)[len(part) // 2] for part in (warm[:third], warm[-third:])]
    files = max(one.files for one in warm)
    good = rss[1] < rss[0] * 1.1 + 2048 and files < 20 + 2 * (DASHBOARDS + CUSTOMERS + STALLED)
    print(f"RSS {rss[0]} -> {rss[1]} KiB, at most {files} files; it said:\n{said}")
    print("ok" if good else "NOT OK")
    return 0 if good else 1


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=int, default=60)
    return asyncio.run(soak(parser.parse_args().minutes))


if __name__ == "__main__":
    sys.exit(main())
