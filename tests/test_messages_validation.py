"""messages.validate: one check of a publication, and the bytes that the relay passes on."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl import messages
from orderctl.channels import order_complete, task_progress, task_status
from orderctl.errors import InvalidMessage

PROGRESS = b'{"taskId":456,"percent":42.5,"currentFile":"01 - Intro.mp4","speed":1048576,"timestamp":1}'

JUNK = {
    "200,000 brackets": b"[" * 200_000,
    "brackets below the size limit": b'{"a":' + b"[" * 16_000,
    "a number of 5,000 digits": b'{"percent":%s}' % (b"9" * 5000),
    "NaN": b'{"percent":NaN}',
    "infinite": b'{"percent":1e999}',
    "minus infinite": b'{"percent":5,"speed":-1e999}',
    "a lone surrogate": b'{"percent":1,"currentFile":"\\ud800"}',
    "a lone surrogate in a name": b'{"percent":1,"\\udfff":1}',
    "not UTF-8": b'{"percent":1,"currentFile":"\xff"}',
    "a byte order mark": b'\xef\xbb\xbf{"percent":1}',
    "a text for a number": b'{"percent":"1"}',
    "a truth value for a number": b'{"percent":true}',
    "a number for a text": b'{"percent":1,"currentFile":7}',
    "nested ten deep": b'{"percent":1,"x":[[[[[[[[[1]]]]]]]]]}',
    "below zero": b'{"percent":-1}',
    "above a hundred": b'{"percent":100.5}',
    "no percent": b'{"currentFile":"a"}',
    "a list": b"[1]",
    "nothing": b"",
    "1 MiB": b'{"percent":1,"x":"' + b"x" * 2**20 + b'"}',
    "two values": b'{"percent":1}{"percent":2}',
}


@pytest.mark.parametrize("payload", JUNK.values(), ids=JUNK.keys())
def test_junk_is_refused(payload: bytes) -> None:
    with pytest.raises(InvalidMessage):
        messages.validate(task_progress(456), payload)


def test_a_payload_is_passed_on_as_it_came():
    data, raw = messages.validate(task_progress(456), PROGRESS)

    assert raw is PROGRESS
    assert data["percent"] == 42.5


def test_an_envelope_is_taken_as_its_data():
    envelope = b'{"scope":"task","id":456,"type":"progress","data":%s}' % PROGRESS

    data, raw = messages.validate(task_progress(456), envelope)

    assert json.loads(raw) == json.loads(PROGRESS) == data


def test_a_message_without_a_time_is_one():
    data, _ = messages.validate(task_status(1), b'{"newStatus":"downloading"}')

    assert data == {"newStatus": "downloading"}
    assert not messages.is_newer(data, data)


def test_counts_have_to_be_numbers():
    with pytest.raises(InvalidMessage):
        messages.validate(
            order_complete(1), b'{"totalTasks":"3","completedTasks":1,"failedTasks":2,"timestamp":1}'
        )


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_else(payload: bytes) -> None:
    try:
        messages.validate(task_progress(1), payload)
    except InvalidMessage:
        return


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["percent", "currentFile", "speed", "timestamp", "x"]), _JSON))
def test_what_is_passed_on_is_json_for_every_client(payload: dict[str, object]) -> None:
    try:
        data, raw = messages.validate(task_progress(1), json.dumps(payload).encode())
    except InvalidMessage:
        return
    passed_on = json.loads(raw.decode("utf-8"), parse_constant=pytest.fail)
    assert passed_on == data


@pytest.mark.parametrize("slash", ["/", "\\/"])
def test_a_message_of_another_program_loses_the_secrets_of_its_urls(slash: str) -> None:
    said = {
        "taskId": 7,
        "percent": 5,
        "currentFile": "https://u:secret@h/x?sig=secret",
        "other": ["/x?a=secret"],
    }

    data, payload = messages.validate(task_progress(7), json.dumps(said).replace("/", slash).encode())

    assert data == said | {"currentFile": "https://***@h/x?sig=***", "other": ["/x?a=***"]}
    assert json.loads(payload) == data


@pytest.mark.parametrize(
    ("said", "masked"),
    [
        ("//u:secret@h/x", "//***@h/x"),
        ("back=https%3A%2F%2Fu%3Asecret%40h", "back=https%3A%2F%2F***"),
        ("https:\\u002F\\u002fu:secret@h", "https://***@h"),
        ("1/a.mp4?sig=secret", "1/a.mp4?sig=***"),
    ],
)
def test_a_url_in_a_message_is_masked_however_it_is_written(said: str, masked: str) -> None:
    raw = f'{{"taskId":7,"percent":5,"currentFile":"{said}"}}'.encode()

    data, payload = messages.validate(task_progress(7), raw)

    assert data["currentFile"] == masked
    assert b"secret" not in payload


def test_a_message_without_a_secret_is_passed_on_byte_for_byte() -> None:
    payload = (
        b'{"percent":5,  "currentFile":"a/b? c:/d 50% a:b@c","link":"https://h/x", "x":"j@h.de // \\u002f"}'
    )

    assert messages.validate(task_progress(7), payload)[1] is payload
