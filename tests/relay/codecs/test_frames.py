"""The relay's frame encoder, checked with the parser of the websockets library."""

import pytest
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from orderctl.relay.codecs import frames


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
def test_a_text_frame_is_what_the_library_writes(size: int) -> None:
    payload = b"x" * size

    assert frames.text(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)


def test_a_ping_is_one():
    reader = StreamReader()
    reader.feed_data(frames.PING)
    parsing = Frame.parse(reader.read_exact, mask=False, max_size=None)
    with pytest.raises(StopIteration) as done:
        next(parsing)
    assert done.value.value == Frame(Opcode.PING, b"")
