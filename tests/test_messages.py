"""The table of fields: every channel has a row, and each message that is built can be read."""

import dataclasses

import pytest

from orderctl import channels, messages
from orderctl.channels import MessageKind, Scope
from orderctl.errors import InvalidMessage
from orderctl.messages import Completion, Payload, StatusChange, TaskProgress

#: The JSON of the messages: a contract with the shop's own programs.
PUBLISHED = {
    TaskProgress(456, 42.5, "a.mp4", None, 1000): (
        "task:456:progress",
        '{"taskId":456,"percent":42.5,"currentFile":"a.mp4","speed":null,"timestamp":1000}',
    ),
    TaskProgress(456, 42.5, "a.mp4", 1e6, 1000, 2, 7): (
        "task:456:progress",
        '{"taskId":456,"percent":42.5,"currentFile":"a.mp4","speed":1000000.0,"timestamp":1000,"attempt":2,"seq":7}',
    ),
    StatusChange(Scope.TASK, 456, "enrolled", None, 1000): (
        "task:456:status",
        '{"taskId":456,"newStatus":"enrolled","previousStatus":null,"timestamp":1000}',
    ),
    StatusChange(Scope.TASK, 456, "failed", "downloading", 1000, "HTTP 404", "UNKNOWN", 3, "NOT_FOUND"): (
        "task:456:status",
        (
            '{"taskId":456,"newStatus":"failed","previousStatus":"downloading","timestamp":1000,'
            '"error":"HTTP 404","errorType":"UNKNOWN","errorKind":"NOT_FOUND","attempt":3}'
        ),
    ),
    StatusChange(Scope.ORDER, 123, "completed", "processing", 1000): (
        "order:123:status",
        '{"orderId":123,"newStatus":"completed","previousStatus":"processing","timestamp":1000}',
    ),
    Completion(123, 3, 2, 1, 1000): (
        "order:123:complete",
        '{"orderId":123,"totalTasks":3,"completedTasks":2,"failedTasks":1,"timestamp":1000}',
    ),
}
messages_of_ours = pytest.mark.parametrize("message", PUBLISHED, ids=lambda message: str(message.channel))


def test_every_channel_has_its_fields():
    assert set(messages.FIELDS) == {(scope, kind) for scope in Scope for kind in channels.KINDS[scope]}


def test_every_payload_is_tried_here():
    # By name, because a dataclass with slots exists twice.
    assert {type(message).__name__ for message in PUBLISHED} == {
        builder.__name__ for builder in Payload.__subclasses__()
    }


@messages_of_ours
def test_what_is_published(message: Payload):
    assert (str(message.channel), messages.encode(message.data())) == PUBLISHED[message]


@messages_of_ours
def test_what_is_published_can_be_read(message: Payload):
    assert messages.decode(message.channel, messages.encode(message.data()).encode()) == message.data()


@messages_of_ours
def test_a_payload_has_the_attributes_of_its_fields(message: Payload):
    fields = messages.FIELDS[message.channel.scope, message.channel.kind]
    attributes = {field.name for field in dataclasses.fields(message)}

    assert {messages.snake_case(field.name) for field in fields} <= attributes


@pytest.mark.parametrize("channel", messages.FIELDS, ids=":".join)
def test_each_checked_field_is_looked_at(channel: tuple[Scope, MessageKind]):
    example = {
        "percent": 1, "newStatus": "failed", "totalTasks": 1, "completedTasks": 1, "failedTasks": 0,
    }  # fmt: skip
    where = channels.Channel(channel[0], 1, channel[1])
    messages.decode(where, messages.encode(example).encode())
    for field in messages.FIELDS[channel]:
        wrong = messages.encode(example | {field.name: [1]}).encode()
        if field.check:
            with pytest.raises(InvalidMessage, match=field.name):
                messages.decode(where, wrong)
        else:
            assert messages.decode(where, wrong)[field.name] == [1]
