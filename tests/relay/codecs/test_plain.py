"""The plain JSON protocol."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.channels import Scope
from orderctl.relay.codecs import plain
from orderctl.relay.codecs.calls import Call, InvalidCall, InvalidFrame, Topic, action_of

FROM_CLIENTS = {
    '{"event":"subscribe:task","data":{"taskId":456},"id":1}': Call("subscribe:task", {"taskId": 456}, 1),
    '{"event":"subscribe:task","data":{"taskId":456}}': Call("subscribe:task", {"taskId": 456}),
    '{"event":"x","id":"a-1"}': Call("x", None, "a-1"),
    '{"event":"x","id":null,"more":[]}': Call("x"),
}

REFUSED = [
    "",
    "[]",
    "1",
    "null",
    "{}",
    '{"event":1}',
    '{"event":""}',
    '{"event":"x","id":1.5}',
    '{"event":"x","id":true}',
    '{"event":"x","id":[]}',
    '{"event":"x","id":9223372036854775808}',
    '{"event":"x","data":NaN}',
    '{"event":"' + "x" * 65 + '"}',
    '{"event":"x","id":"' + "x" * 65 + '"}',
    '{"event":"x"',
    "[" * 60_000,
    '{"event":"x","data":' + "9" * 60_000 + "}",
]


@pytest.mark.parametrize(("frame", "call"), FROM_CLIENTS.items())
def test_what_a_client_says(frame: str, call: Call) -> None:
    assert plain.decode(frame) == call


@pytest.mark.parametrize("frame", REFUSED, ids=lambda frame: frame[:20])
def test_what_is_not_a_call(frame: str) -> None:
    with pytest.raises(InvalidFrame):
        plain.decode(frame)


def test_what_the_server_says():
    assert plain.message(b"status", b'{"id":1}') == b'{"event":"status","data":{"id":1}}'
    assert plain.event("relay:degraded") == b'{"event":"relay:degraded","data":null}'
    assert plain.acknowledgement(1, {"a": 1}) == b'{"event":"ack","id":1,"data":{"a":1}}'
    assert plain.acknowledgement(None) == b'{"event":"ack","data":null}'
    assert plain.error("a", "no") == b'{"event":"error","id":"a","error":"no"}'


@given(st.text())
def test_arbitrary_text_raises_nothing_but_the_codecs_own_error(frame: str) -> None:
    try:
        plain.decode(frame)
    except InvalidFrame:
        return


@given(
    event=st.text(min_size=1, max_size=64),
    data=st.none() | st.dictionaries(st.text(), st.integers()) | st.text(),
    call_id=st.none() | st.integers(-(2**63) + 1, 2**63 - 1) | st.text(max_size=64),
)
def test_a_call_survives_the_trip(event: str, data: object, call_id: int | str | None) -> None:
    frame = json.dumps({"event": event, "data": data, "id": call_id})

    assert plain.decode(frame) == Call(event, data, call_id)
    assert json.loads(plain.acknowledgement(call_id)).get("id") == call_id


SUBJECTS = {
    ("subscribe:order", 123): ("subscribe", Topic(Scope.ORDER, 123)),
    ("unsubscribe:task", 2**63 - 1): ("unsubscribe", Topic(Scope.TASK, 2**63 - 1)),
    ("subscribe:task", "456"): ("subscribe", Topic(Scope.TASK, 456)),
}


@pytest.mark.parametrize(("asked", "meant"), SUBJECTS.items())
def test_a_subscription_names_an_order_or_a_task(asked: tuple[str, object], meant: tuple[str, Topic]) -> None:
    event, subject_id = asked
    key = "orderId" if event.endswith("order") else "taskId"

    assert action_of(Call(event, {key: subject_id})) == meant


@pytest.mark.parametrize(
    "event", ["subscribe", "subscribe:", "subscribe:x", "subscribe:task:1", "publish:task"]
)
def test_other_events_are_unknown(event: str) -> None:
    with pytest.raises(InvalidCall):
        action_of(Call(event, {"taskId": 1}))


@pytest.mark.parametrize(
    "data",
    [None, 1, [], {}, {"orderId": 1}]
    + [
        {"taskId": value} for value in (0, -1, 1.0, True, None, "", "x", "-1", "\uff11", "9" * 20, 2**63, [1])
    ],
    ids=repr,
)
def test_an_id_is_a_whole_number_above_0(data: object) -> None:
    with pytest.raises(InvalidCall):
        action_of(Call("subscribe:task", data))
