"""The names of channels: each can be written and read, and all other names are refused."""

from fnmatch import fnmatch

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from orderctl import channels
from orderctl.channels import Channel, MessageKind, Scope

EVERY = [(scope, kind) for scope in Scope for kind in channels.KINDS[scope]]


def test_the_channels_of_the_contract():
    assert [f"{scope}:{kind}" for scope, kind in EVERY] == [
        "order:progress",
        "order:status",
        "order:complete",
        "task:progress",
        "task:status",
        "task:complete",
    ]


def test_every_kind_belongs_to_a_scope():
    assert {kind for _, kind in EVERY} == set(MessageKind)


@given(st.sampled_from(EVERY), st.integers(1, 10**19 - 1))
def test_a_name_is_read_as_it_is_written(pair: tuple[Scope, MessageKind], number: int):
    channel = Channel(pair[0], number, pair[1])

    assert channels.parse(str(channel)) == channel
    assert str(channel).encode().startswith(channels.room(pair[0], number) + b":")


@pytest.mark.parametrize(
    "name",
    [
        "task:1:completed",
        "task:0:progress",
        "task:01:progress",
        "task:-1:progress",
        "task:\N{ARABIC-INDIC DIGIT ONE}:progress",
        f"task:{10**19}:progress",
        "task:1:progress\n",
        "task:1:progress:x",
        "task:1:PROGRESS",
        "orders:1:progress",
        "task:1:",
        "task:1",
        "",
    ],
)
def test_other_names_are_no_channels(name: str):
    assert channels.parse(name) is None


@pytest.mark.parametrize("scope", Scope)
def test_the_channels_of_a_subject_are_those_of_its_scope(scope: Scope):
    found = channels.of_subject(scope, 7)

    assert [channel.kind for channel in found] == list(channels.KINDS[scope])
    assert all(any(fnmatch(str(channel), pattern) for pattern in channels.PATTERNS) for channel in found)


@pytest.mark.parametrize(
    ("pattern", "matches", "others"),
    [
        ("task:*:progress", ["task:1:progress", "task:12:progress"], ["task:1:status", "order:1:progress"]),
        ("*", ["task:1:progress", "order:1:complete"], []),
        ("order:?:*", ["order:7:status"], ["order:77:status"]),
        ("task:[12]:*", ["task:1:status", "task:2:status"], ["task:3:status"]),
        ("task:[^1]:*", ["task:2:status"], ["task:1:status"]),
        ("task:[1-3]:*", ["task:2:status"], ["task:4:status"]),
        ("[!t]ask:*", ["task:1:status"], ["order:1:status"]),
        (r"task:\1:*", ["task:1:status"], ["task:2:status"]),
        ("t*:1:*", ["task:1:status"], ["order:1:status"]),
        ("task:1", [], ["task:1:status"]),
    ],
)
def test_a_pattern_matches_as_in_redis(pattern, matches, others, redis_url):
    """Redis itself is asked, too: KEYS has the same patterns as PSUBSCRIBE."""
    with redis.Redis.from_url(redis_url) as client:
        for name in matches + others:
            client.set(name, 1)
        assert sorted(key.decode() for key in client.keys(pattern)) == sorted(matches)

    matcher = channels.matching(pattern)

    assert [name for name in matches + others if matcher.match(name)] == matches


@pytest.mark.parametrize(
    ("patterns", "covering"),
    [
        (["task:*:progress"], ["task:*"]),
        (["order:7:*", "order:8:*"], ["order:*"]),
        (["task:1:*", "order:7:*"], ["task:*", "order:*"]),
        (["*"], ["task:*", "order:*"]),
        (["t?sk:*", "task:1:*"], ["task:*", "order:*"]),
    ],
)
def test_general_patterns_cover_the_narrow_ones(patterns, covering):
    assert channels.covering(patterns) == covering
