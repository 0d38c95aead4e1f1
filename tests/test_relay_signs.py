"""The signs of relays: what is written is read again, and what others have written there is not taken for one."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import redis

from orderctl import broker, channels, relay_signs
from orderctl.errors import Misconfigured
from orderctl.relay_signs import RelaySign, Sample

NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)
SIGN = RelaySign(
    name="web1.7.ab12",
    host="web1",
    pid=7,
    address="::",
    port=3001,
    version="1.0",
    connections=80,
    subscriptions=40,
    secure=True,
    started=NOW - timedelta(hours=3),
    seen=NOW,
    samples=tuple(Sample(NOW - timedelta(minutes=minutes), 100 - minutes) for minutes in (90, 80, 63, 40)),
)


def announce(client: redis.Redis, sign: RelaySign, *, first: bool = False) -> None:
    for command in relay_signs.announcement(str, sign, first=first):
        client.execute_command(*command)


def test_what_is_written_is_read_again(redis_url: str) -> None:
    with broker.brisk(redis_url) as client:
        announce(client, SIGN)

        assert relay_signs.find_all(client) == [SIGN]
        assert SIGN.hour_ago == Sample(NOW - timedelta(minutes=63), 37)

        for command in relay_signs.retirement(str, SIGN.name):
            client.execute_command(*command)
        assert client.keys() == []


def test_names_of_relays_that_are_long_gone_are_forgotten(redis_url: str) -> None:
    with broker.brisk(redis_url) as client:
        client.zadd(channels.RELAY_SIGNS, {"gone": (NOW - timedelta(days=2)).timestamp() * 1000})

        announce(client, SIGN)

        assert client.zrange(channels.RELAY_SIGNS, 0, -1) == [SIGN.name.encode()]


def test_a_relay_that_starts_takes_the_place_of_one_that_was_killed(redis_url: str) -> None:
    with broker.brisk(redis_url) as client:
        lost, beside = (
            {name: (NOW - ago).timestamp() * 1000}
            for name, ago in (
                ("lost", timedelta(minutes=5)),
                ("beside", timedelta(seconds=5)),
            )
        )
        client.zadd(channels.RELAY_SIGNS, lost | beside)
        announce(client, SIGN)
        assert [name for name, _ in relay_signs.find_lost(client, {SIGN.name})] == ["beside", "lost"]

        announce(client, SIGN, first=True)

        assert [name for name, _ in relay_signs.find_lost(client, {SIGN.name})] == ["beside"]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "another"}, {"name": None}, {"host": ""}, {"host": "-oProxyCommand=x"}, {"host": "a b"}, {"address": "\x1b[m"}, {"host": "x" * 300}, {"pid": "7"}, {"port": 65_536},
        {"port": -1}, {"connections": 1.5}, {"started": 10**18}, {"samples": None}, {"samples": [1]},
        {"samples": [[1, 2, 3]]}, {"seen": "now"},
    ],
    ids=str,
)  # fmt: skip
def test_a_sign_that_no_relay_has_written_is_left_out(redis_url: str, change: dict[str, object]) -> None:
    with broker.brisk(redis_url) as client:
        announce(client, SIGN)
        key = channels.relay_sign(SIGN.name)
        client.set(key, json.dumps(json.loads(client.get(key)) | change))

        assert relay_signs.find_all(client) == []


@pytest.mark.parametrize("value", ["", "[]", "7", "null", "\udcff", "[" * 100_000])
def test_a_value_that_is_no_sign_is_left_out(redis_url: str, value: str) -> None:
    with broker.brisk(redis_url) as client:
        client.zadd(channels.RELAY_SIGNS, {"x": 1, b"\xff": 2})
        client.set(channels.relay_sign("x"), value.encode(errors="surrogateescape"))

        assert relay_signs.find_all(client) == []


def test_a_key_of_another_type_is_explained(redis_url: str) -> None:
    with broker.brisk(redis_url) as client:
        client.set(channels.RELAY_SIGNS, "x")

        with pytest.raises(Misconfigured, match="another program uses the name"):
            relay_signs.find_all(client)
