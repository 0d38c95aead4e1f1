"""Socket.IO packets, as socket.io-client 4.8 sends and reads them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.relay.codecs import socketio
from orderctl.relay.codecs.calls import Call, InvalidFrame
from orderctl.relay.codecs.socketio import Close, Connect, Disconnect, EventPacket, Ignored, Pong

FROM_CLIENTS = {
    "3": Pong(),
    "1": Close(),
    "6": Ignored(),
    "40": Connect("/", {}),
    '40{"token":"x"}': Connect("/", {"token": "x"}),
    "40/admin": Connect("/admin", {}),
    '40/admin,{"a":1}': Connect("/admin", {"a": 1}),
    "41": Disconnect("/"),
    "41/admin,": Disconnect("/admin"),
    '42["subscribe:task",{"taskId":456}]': EventPacket("/", Call("subscribe:task", {"taskId": 456})),
    '427["subscribe:order",{"orderId":1}]': EventPacket("/", Call("subscribe:order", {"orderId": 1}, 7)),
    '42/admin,12["x"]': EventPacket("/admin", Call("x", None, 12)),
    '42["x",1,2]': EventPacket("/", Call("x", 1)),
    "431[]": Ignored(),
}

REFUSED = [
    "",
    "0",
    "2",
    "2probe",
    "3probe",
    "33",
    "5",
    "7",
    "4",
    "4x",
    "47",
    "40[]",
    "401{}",
    "40{",
    "40NaN",
    "41x",
    "42",
    "42[]",
    "42{}",
    "42[1]",
    '42["x",NaN]',
    '42["x"',
    '42["' + "x" * 65 + '"]',
    "43[]",
    "44{}",
    '450-["x"]',
    '455999999-["x",{"_placeholder":true,"num":0}]',
    "461-[]",
    "40/" + "x" * 200,
    "42" + "9" * 16 + '["x"]',
    "42" + "[" * 60_000,
    "42[" + "9" * 60_000 + "]",
    '42[\ud800"x"]',
]


@pytest.mark.parametrize(("frame", "packet"), FROM_CLIENTS.items())
def test_what_a_client_says(frame: str, packet: socketio.Packet) -> None:
    assert socketio.decode(frame) == packet


@pytest.mark.parametrize("frame", REFUSED, ids=lambda frame: frame[:20])
def test_what_is_not_a_packet(frame: str) -> None:
    with pytest.raises(InvalidFrame):
        socketio.decode(frame)


def test_what_the_server_says():
    handshake = socketio.handshake("S")
    assert handshake.startswith(b"0")
    assert json.loads(handshake[1:]) == {
        "sid": "S",
        "upgrades": [],
        "pingInterval": 25000,
        "pingTimeout": 20000,
        "maxPayload": 65536,
    }
    assert socketio.connected("S", "P") == b'40{"sid":"S","pid":"P"}'
    assert socketio.refused("/x", "Invalid namespace") == b'44/x,{"message":"Invalid namespace"}'
    assert socketio.refused("/", "no token") == b'44{"message":"no token"}'
    assert socketio.message(b"progress", b'{"id":1}') == b'42["progress",{"id":1}]'
    assert socketio.acknowledgement(12, {"ok": True}) == b'4312[{"ok":true}]'
    assert socketio.PING == b"2"


@given(st.text() | st.from_regex(r"[0-6]{1,3}(/[a-z]{0,5},?)?[0-9]{0,20}[\[{\"a-z0-9,:}\]]*", fullmatch=True))
def test_arbitrary_text_raises_nothing_but_the_codecs_own_error(frame: str) -> None:
    try:
        socketio.decode(frame)
    except InvalidFrame:
        return


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    name=st.text(min_size=1, max_size=64),
    argument=_VALUES,
    ack=st.none() | st.integers(0, 10**15 - 1),
    namespace=st.just("/") | st.from_regex(r"/[a-z]{1,20}", fullmatch=True),
)
def test_an_event_survives_the_trip(name: str, argument: object, ack: int | None, namespace: str) -> None:
    prefix = "" if namespace == "/" else f"{namespace},"
    frame = f"42{prefix}{'' if ack is None else ack}{json.dumps([name, argument])}"

    assert socketio.decode(frame) == EventPacket(namespace, Call(name, argument, ack))


@given(st.dictionaries(st.text(max_size=10), _VALUES, max_size=4))
def test_a_connect_survives_the_trip(auth: dict[str, object]) -> None:
    assert socketio.decode("40" + json.dumps(auth)) == Connect("/", auth)
