"""The simplest relay, for comparison: websockets.broadcast() for each message from redis-py."""

import asyncio
import json
import os

import redis.asyncio
from websockets.asyncio.server import broadcast, serve
from websockets.exceptions import ConnectionClosed

rooms = {}


async def handle(client):
    mine = set()
    try:
        async for text in client:
            call = json.loads(text)
            if call["event"] == "subscribe:task":
                room = rooms.setdefault(f"task:{call['data']['taskId']}", set())
                room.add(client)
                mine.add(id(room))
    except ConnectionClosed:
        pass
    finally:
        for room in rooms.values():
            room.discard(client)


async def main():
    feed = redis.asyncio.Redis(port=int(os.environ["REDIS_PORT"])).pubsub()
    await feed.psubscribe("task:*")
    async with serve(handle, "127.0.0.1", int(os.environ["PORT"]), backlog=4096, compression=None):
        async for message in feed.listen():
            if message["type"] == "pmessage":
                room, _, kind = message["channel"].decode().rpartition(":")
                listeners = rooms.get(room)
                if listeners:
                    broadcast(listeners, f'{{"event":"{kind}","data":{message["data"].decode()}}}')


asyncio.run(main())
