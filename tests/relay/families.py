"""The cases of the Autobahn test suite for WebSocket servers, as ``/ws`` has to answer them.

That suite (25.10) wants a server that echoes, and runs under Python 2 only. Here a text is sent as the ``id`` of a
call, which the answer repeats; the numbers of the families are the suite's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.relay.raw import BINARY, CLOSE, CONT, PING, PONG, TEXT, Got, frame

LIMIT = 65_536
#: Send each frame when the one before it is answered.
EACH = -1
#: Answers: a text that repeats an id, a pong, and the code of a close.
Wanted = tuple["str | int | bytes", ...]


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        frames: What is sent.
        wanted: What has to come: a ``str`` is the id of an answer, ``bytes`` a pong, an ``int`` the code of the
            close that ends the connection.
        chop: How many bytes are sent at once; 0: all.
    """

    frames: tuple[bytes, ...]
    wanted: Wanted
    chop: int = 0

    def allows(self, heard: Sequence[object]) -> bool:
        """Whether that is what had to come.

        A message that arrives in one packet with the end of the connection may go without an answer.
        """
        ends = self.chop == 0 and isinstance(self.wanted[-1], int)
        return tuple(heard) == self.wanted or (ends and tuple(heard) == self.wanted[-1:])


def call(text: str, size: int = 0) -> bytes:
    """Return a call whose answer repeats the text; it has at least ``size`` bytes."""
    data = json.dumps({"event": "x", "id": text, "p": ""}, ensure_ascii=False).encode()
    return data[:-2] + b"*" * (size - len(data)) + data[-2:]


def case(*frames: bytes, wanted: Wanted, chop: int = 0) -> Case:
    return Case(frames, wanted, chop)


def fragments(data: bytes, *places: int) -> tuple[bytes, ...]:
    """Return a text in fragments that begin at these places."""
    cuts = [0, *places, len(data)]
    last = len(cuts) - 2
    return tuple(
        frame(CONT if number else TEXT, data[start:end], fin=number == last)
        for number, (start, end) in enumerate(pairwise(cuts))
    )


def every(data: bytes, size: int) -> tuple[bytes, ...]:
    return fragments(data, *range(size, len(data), size))


HI = frame(TEXT, call("hi"))
BYE = frame(CLOSE, b"\x03\xe8")
PARTS = fragments(call("hi"), 9)
WORD = "\u03ba\u1f79\u03c3\u03bc\u03b5"
SIZES = (125, 126, 127, 128, LIMIT - 1, LIMIT)


def framing() -> Iterator[tuple[str, Case]]:
    yield "1.1", case(frame(TEXT), wanted=("",))
    for size in SIZES:
        yield "1.1", case(frame(TEXT, call("a", size)), wanted=("a",))
        yield "1.2", case(frame(BINARY, b"\xfe" * size), wanted=(1003,))
    yield "1.1", case(frame(TEXT, call("a", LIMIT)), wanted=("a",), chop=997)
    yield "1.2", case(frame(BINARY), wanted=(1003,))
    yield "1.2", case(frame(BINARY, b"\xfe" * LIMIT), wanted=(1003,), chop=997)


def pings() -> Iterator[tuple[str, Case]]:
    for data in (b"", b"Hello, world!", b"\0\xff\xfe\xfd\xfc\xfb\0\xff", b"\xfe" * 125):
        yield "2", case(frame(PING, data), wanted=(data,))
    yield "2", case(frame(PING, b"\xfe" * 126), wanted=(1002,))
    yield "2", case(frame(PING, b"\xfe" * 125), wanted=(b"\xfe" * 125,), chop=1)
    for data in (b"", b"unsolicited"):
        yield "2", case(frame(PONG, data), frame(PING, b"x"), wanted=(b"x",))
    ten = tuple(b"payload-%d" % number for number in range(10))
    yield "2", case(*(frame(PING, data) for data in ten), wanted=ten)
    yield "2", case(*(frame(PING, data) for data in ten), wanted=ten, chop=1)


def reserved_bits() -> Iterator[tuple[str, Case]]:
    for bits in range(1, 8):
        for opcode in (TEXT, PING, BINARY, CLOSE):
            odd = frame(opcode, b"", reserved=bits)
            yield "3", case(HI, odd, frame(PING), wanted=("hi", 1002), chop=EACH)
            yield "3", case(HI, odd, frame(PING), wanted=("hi", 1002))
            yield "3", case(odd, wanted=(1002,), chop=1)


def opcodes() -> Iterator[tuple[str, Case]]:
    for family, numbers in (("4.1", range(3, 8)), ("4.2", range(11, 16))):
        for opcode in numbers:
            for data in (b"", b"reserved opcode"):
                yield family, case(HI, frame(opcode, data), frame(PING), wanted=("hi", 1002), chop=EACH)
                yield family, case(HI, frame(opcode, data), frame(PING), wanted=("hi", 1002))
                yield family, case(frame(opcode, data), wanted=(1002,), chop=1)


def fragmentation() -> Iterator[tuple[str, Case]]:
    for opcode in (PING, PONG):
        yield "5", case(frame(opcode, b"a", fin=False), frame(CONT, b"b"), wanted=(1002,))
    for chop in (0, 8, 1):
        yield "5", case(*PARTS, wanted=("hi",), chop=chop)
        yield "5", case(PARTS[0], frame(PING, b"p"), PARTS[1], wanted=(b"p", "hi"), chop=chop)
        for fin in (True, False):
            yield "5", case(frame(CONT, b"x", fin=fin), HI, wanted=(1002,), chop=chop)
    for fin in (True, False):
        yield "5", case(*PARTS, frame(CONT, b"x", fin=fin), HI, wanted=("hi", 1002))
    yield "5", case(PARTS[0], HI, wanted=(1002,))
    yield "5", case(PARTS[0], frame(BINARY, b"x"), wanted=(1002,))
    five = fragments(call("hi"), 3, 6, 9, 12)
    pinged = (*five[:2], frame(PING, b"1"), *five[2:4], frame(PING, b"2"), five[4])
    for chop in (0, 1):
        yield "5", case(*pinged, wanted=(b"1", b"2", "hi"), chop=chop)


#: UTF-8, from Markus Kuhn's decoder test: valid and invalid sequences of bytes, in the order of the families.
VALID: dict[str, list[bytes]] = {
    "6.5": [b"hello$world", b"hello\xc2\xa2", b"hello\xe2\x82\xac", b"hello\xf0\xa4\xad\xa2", WORD.encode()],
    "6.6": [WORD.encode()[:2], WORD.encode()[:5], WORD.encode()[:7], WORD.encode()[:9], WORD.encode()],
    "6.7": [b"\xc2\x80", b"\xe0\xa0\x80", b"\xf0\x90\x80\x80"],
    "6.9": [b"\x7f", b"\xdf\xbf", b"\xef\xbf\xbf", b"\xf4\x8f\xbf\xbf"],
    "6.11": [b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbf\xbd", b"\xf4\x8f\xbf\xbf"],
    "6.22": [chr(plane * 0x10000 + low).encode() for plane in range(17) for low in (0xFFFE, 0xFFFF)],
    "6.23": [chr(number).encode() for number in range(0xFFF9, 0x10000)],
}
_CUT = (b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xf8\x80\x80\x80", b"\xfc\x80\x80\x80\x80")
_CUT += (b"\xdf", b"\xef\xbf", b"\xf7\xbf\xbf", b"\xfb\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf")
_HIGH, _LOW = (
    (b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xae\x80", b"\xed\xaf\xbf"),
    (b"\xed\xb0\x80", b"\xed\xbf\xbf"),
)
INVALID: dict[str, list[bytes]] = {
    "6.6": [WORD.encode()[:size] for size in (1, 3, 4, 6, 8, 10)],
    "6.8": [b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80"],
    "6.10": [b"\xf7\xbf\xbf\xbf", b"\xfb\xbf\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf\xbf"],
    "6.11": [b"\xf4\x90\x80\x80"],
    "6.12": [b"\x80", b"\xbf", *[b"\x80\xbf" * count for count in (1, 2, 3)], bytes(range(0x80, 0xBF))],
    "6.13": [b" ".join(bytes([one]) for one in range(low, high)) for low, high in
             ((0xC0, 0xDF), (0xE0, 0xEF), (0xF0, 0xF7), (0xF8, 0xFB), (0xFC, 0xFE))],
    "6.14": [*_CUT],
    "6.15": [b"".join(_CUT)],
    "6.16": [b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"],
    "6.17": [b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xf8\x80\x80\x80\xaf"],
    "6.18": [b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf", b"\xf8\x87\xbf\xbf\xbf"],
    "6.19": [b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80", b"\xf8\x80\x80\x80\x80"],
    "6.20": [*_HIGH, *_LOW, b"\xed\xbe\x80"],
    "6.21": [high + low for high in _HIGH for low in _LOW],
}  # fmt: skip


def utf8() -> Iterator[tuple[str, Case]]:
    yield "6.1", case(frame(TEXT), wanted=("",))
    yield "6.1", case(frame(TEXT, fin=False), frame(CONT, fin=False), frame(CONT), wanted=("",))
    yield "6.1", case(frame(TEXT, fin=False), frame(CONT, call("hi"), fin=False), frame(CONT), wanted=("hi",))
    valid, spoiled = call(WORD), call(WORD).replace(WORD.encode(), WORD.encode() + b"\xed\xa0\x80edited")
    for size in (len(valid), 10, 3, 1):
        yield "6.2", case(*every(valid, size), wanted=(WORD,))
        yield "6.3", case(*every(spoiled, size), wanted=(1007,))
    # 6.4 wants the close before the message ends. /ws looks when it has ended, which RFC 6455 allows.
    bad = spoiled.index(b"\xed\xa0")
    for place in (bad, bad + 1, bad + 2):
        yield "6.4", case(*fragments(spoiled, place), wanted=(1007,))
        yield "6.4", case(*fragments(spoiled, place), wanted=(1007,), chop=1)
    for family, sequences in VALID.items():
        for data in sequences:
            yield family, case(frame(TEXT, call(data.decode())), wanted=(data.decode(),))
    for family, sequences in INVALID.items():
        for data in sequences:
            yield family, case(frame(TEXT, call("~").replace(b"~", data)), wanted=(1007,))


def closes() -> Iterator[tuple[str, Case]]:
    yield "7.1", case(HI, BYE, wanted=("hi", 1000), chop=EACH)
    yield "7.1", case(HI, BYE, wanted=("hi", 1000))
    for behind in (BYE, frame(PING), HI, PARTS[1]):
        yield "7.1", case(BYE, behind, wanted=(1000,))
    yield "7.1", case(PARTS[0], BYE, PARTS[1], wanted=(1002,))  # the suite wants 1000 and notes other codes
    yield "7.1", case(frame(TEXT, call("a", LIMIT)), BYE, frame(PING), wanted=("a", 1000))
    yield "7.3", case(frame(CLOSE), wanted=(1005,))
    yield "7.3", case(frame(CLOSE, b"x"), wanted=(1002,))
    for reason in (b"", b"Hello, world!", b"*" * 123):
        yield "7.3", case(frame(CLOSE, b"\x03\xe8" + reason), wanted=(1000,))
    yield "7.3", case(frame(CLOSE, b"\x03\xe8" + b"*" * 124), wanted=(1002,))
    yield "7.5", case(frame(CLOSE, b"\x03\xe8" + WORD.encode() + b"\xed\xa0\x80"), wanted=(1007,))
    for code in (
        1000,
        1001,
        1002,
        1003,
        1007,
        1008,
        1009,
        1010,
        1011,
        1012,
        1013,
        1014,
        3000,
        3999,
        4000,
        4999,
    ):
        yield "7.7", case(frame(CLOSE, code.to_bytes(2, "big")), wanted=(code,))
    for code in (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535):
        family = "7.13" if code >= 5000 else "7.9"
        yield family, case(frame(CLOSE, code.to_bytes(2, "big")), wanted=(1002,))


def sizes() -> Iterator[tuple[str, Case]]:
    """The suite sends up to 16 MiB and wants an echo; ``/ws`` takes 64 KiB."""
    whole = call("a", LIMIT)
    yield "9.1", case(frame(TEXT, whole), wanted=("a",))
    yield "9.1", case(frame(TEXT, call("a", LIMIT + 1)), wanted=(1009,))
    yield "9.2", case(frame(BINARY, b"x" * (LIMIT + 1)), wanted=(1009,))
    for size in (64, 256, 1024, 4096, 16_384):
        yield "9.3", case(*every(whole, size), wanted=("a",))
        yield "9.3", case(*every(call("a", LIMIT + 1), size), wanted=(1009,))
    for chop in (64, 128, 256, 512, 1024, 2048):
        yield "9.5", case(frame(TEXT, whole), wanted=("a",), chop=chop)
    for exponent in (18, 20, 22, 24, 63):  # only the length is sent: it is refused before the data
        head = b"\x81\xff" + (1 << exponent).to_bytes(8, "big") + b"\0\0\0\0"
        yield "9.1", case(head, wanted=(1009,))
    yield "10.1", case(*every(whole, 1300), wanted=("a",))


def cases() -> dict[str, list[Case]]:
    """Return the cases of each family."""
    found: dict[str, list[Case]] = {}
    for make in (framing, pings, reserved_bits, opcodes, fragmentation, utf8, closes, sizes):
        for family, one in make():
            found.setdefault(family, []).append(one)
    return found


def read(got: Got) -> str | int | bytes:
    """Return a frame of the relay as a case wants it."""
    if got.opcode == CLOSE:
        return got.code if got.data else 1005
    if got.opcode == PONG:
        return got.data
    answer = json.loads(got.data)
    assert answer["event"] == "error"
    return answer.get("id") or ""
