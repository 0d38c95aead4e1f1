"""Send mutated frames, HTTP requests and payments to a live relay: none may harm it or its other clients.

    python bench/relay/fuzz.py [--frames 100000] [--requests 100000] [--seed N]

Another client checks now and then that it receives messages. At the end the relay must not use more memory or
file descriptors than before.
"""

import argparse
import asyncio
import logging
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the wheel does not contain bench and tests

from bench.relay import fuzz_http
from bench.relay.servers import PLAIN, SOCKETIO, Bystander, running_relay
from tests.relay.raw import Got, RawClient, frame

SEEDS = {
    PLAIN: [
        '{"event":"subscribe:task","data":{"taskId":456},"id":1}',
        '{"event":"unsubscribe:task","data":{"taskId":456}}',
        '{"event":"subscribe:order","data":{"orderId":"1"},"id":"a"}',
        '{"event":"auth","data":{"token":"x"},"id":2}',
    ],
    SOCKETIO: [
        "40",
        '40{"token":"x","pid":"y"}',
        '42["subscribe:task",{"taskId":456}]',
        '427["subscribe:order",{"orderId":1}]',
        '42["unsubscribe:task",{"taskId":456}]',
        '450-["x"]',
        '451-["x",{"_placeholder":true,"num":0}]',
        "40/admin,{}",
        "3",
        "2",
        "431[]",
        "41",
    ],
}
#: Number of frames for one connection.
PATIENCE = 50


def mutate(chance: random.Random, data: bytes) -> bytes:
    """Return a copy with bytes changed, cut, doubled or inserted."""
    changed = bytearray(data)
    for _ in range(chance.randrange(4)):
        place = chance.randrange(len(changed) + 1)
        match chance.randrange(5):
            case 0 if place < len(changed):
                changed[place] = chance.randrange(256)
            case 1:
                del changed[place:]
            case 2:
                changed[place:place] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 9)))
            case 3:
                changed[place:place] = changed[:place]
            case _:
                changed[place:place] = chance.choice(
                    [b"[", b"{", b'"', b"9", b"\\u", b"-", b","]
                ) * chance.choice([1, 10, 1000])
    return bytes(changed[:65_000])


def make(chance: random.Random, path: bytes) -> tuple[bytes, bool]:
    """Return a mutated frame, and whether its bytes may not form a frame at all."""
    payload = mutate(chance, chance.choice(SEEDS[path]).encode("latin-1"))
    opcode = chance.choice([1] * 12 + [0, 2, 8, 9, 10, chance.randrange(16)])
    whole = frame(
        opcode,
        payload,
        fin=chance.random() > 0.05,
        reserved=chance.choice([0] * 30 + [1, 4]),
        mask=chance.randbytes(4) if chance.random() > 0.02 else None,
    )
    broken = chance.random() < 0.1
    return (mutate(chance, whole) if broken else whole), broken


async def survives(client: RawClient, data: bytes, number: int) -> bool:
    """Send a frame and a ping; return True when the ping was answered, False when the connection ended."""
    mark = b"%d" % number
    client.send(data, frame(9, mark))
    try:
        while (await client.get()) != Got(10, mark):
            pass
    except (asyncio.IncompleteReadError, ConnectionError):
        return False
    return True


async def attack(chance: random.Random, port: int, count: int, bystander: Bystander) -> int:
    """Send ``count`` frames, each followed by a ping; return the number of connections."""
    sent = connections = 0
    while sent < count:
        path = chance.choice([PLAIN, SOCKETIO])
        client = await RawClient.connect(port, path)
        connections += 1
        if path == SOCKETIO and chance.random() < 0.8:
            client.say("40")
        for _ in range(PATIENCE):
            sent += 1
            data, broken = make(chance, path)
            if broken:
                client.send(data)
                await asyncio.sleep(0.005)  # the relay would read further bytes as part of it
                break
            if not await survives(client, data, sent):
                break
        if connections % 20 == 0:
            await bystander.check()
        await client.close()
    return connections


async def fuzz(count: int, seed: int) -> bool:
    chance = random.Random(seed)
    with running_relay("--max-connections-per-address", "0") as relay:
        async with await Bystander.connect(relay) as bystander:
            await attack(chance, relay.port, 2000, bystander)  # warm
            before, began = relay.footprint(), time.monotonic()
            connections = await attack(chance, relay.port, count, bystander)
            took = time.monotonic() - began
            await asyncio.sleep(12)
            after = relay.footprint()
        print(f"{count} frames over {connections} connections in {took:.0f} s, seed {seed}")
        print(f"before {before}\nafter  {after}")
        said = relay.stop()
    good = (
        after.files <= before.files + 2
        and after.rss_kib < before.rss_kib * 1.2 + 4096
        and not set(said.split()) & {"ERROR", "Traceback", "exit"}
    )
    print("ok" if good else f"NOT OK {said}")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    asked = parser.parse_args()
    logging.getLogger("asyncio").setLevel(
        logging.ERROR
    )  # it warns of each write to a connection that has ended
    good = [asyncio.run(fuzz(asked.frames, asked.seed))] if asked.frames else []
    secrets = (None, fuzz_http.SECRET) if asked.requests else ()
    good += [asyncio.run(fuzz_http.fuzz(asked.requests // 2, asked.seed, secret)) for secret in secrets]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
