"""A WebSocket client that sends any bytes."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import Self

from tests.relay.conftest import SOON

UPGRADE = (
    b"GET %b HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
PLAIN, SOCKETIO = b"/ws", b"/socket.io/?EIO=4&transport=websocket"
TEXT, BINARY, CONT, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


@dataclass(frozen=True)
class Got:
    """A frame from the relay."""

    opcode: int
    data: bytes

    @property
    def code(self) -> int:
        assert self.opcode == CLOSE
        return int.from_bytes(self.data[:2], "big")


def frame(
    opcode: int, data: bytes = b"", *, fin: bool = True, reserved: int = 0, mask: bytes | None = b"\0\0\0\0"
) -> bytes:
    """Return a client's frame, valid or not."""
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    masked = 0x80 if mask is not None else 0
    if len(data) < 126:
        head += bytes([masked | len(data)])
    elif len(data) < 65_536:
        head += bytes([masked | 126]) + len(data).to_bytes(2, "big")
    else:
        head += bytes([masked | 127]) + len(data).to_bytes(8, "big")
    if mask is None:
        return head + data
    return head + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(data))


class RawClient:
    """A connection after its handshake."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int, path: bytes = PLAIN) -> Self:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(UPGRADE % path)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in answer
        assert b"Sec-WebSocket-Extensions" not in answer
        return cls(reader, writer)

    def send(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))

    def say(self, text: str) -> None:
        self.send(frame(TEXT, text.encode(), mask=os.urandom(4)))

    async def get(self) -> Got:
        async with asyncio.timeout(SOON):
            first, second = await self.reader.readexactly(2)
            assert first & 0x70 == 0
            assert first & 0x80
            assert second < 128
            size = second
            if second == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            elif second == 127:
                size = int.from_bytes(await self.reader.readexactly(8), "big")
            return Got(first & 15, await self.reader.readexactly(size))

    async def end(self) -> None:
        """Wait until the relay has closed the connection."""
        async with asyncio.timeout(SOON):
            while await self.reader.read(65_536):
                pass

    async def close(self) -> None:
        self.writer.transport.abort()
        await asyncio.sleep(0)
