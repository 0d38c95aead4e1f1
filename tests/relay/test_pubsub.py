"""What Redis itself shows of running relays, as docs/relay.md says."""

from __future__ import annotations

import redis

from orderctl import channels
from tests.relay.conftest import StartRelay


def seen(store: redis.Redis) -> tuple[object, object, object]:
    return store.pubsub_channels(), store.pubsub_numpat(), store.pubsub_numsub("task:456:progress")


def test_relays_are_patterns_and_no_channels(start_relay: StartRelay, store: redis.Redis) -> None:
    assert seen(store) == ([], 0, [(b"task:456:progress", 0)])

    for count in (1, 2):
        start_relay()
        assert seen(store) == ([], len(channels.PATTERNS), [(b"task:456:progress", 0)])
        assert store.publish("task:456:progress", "{}") == count
        relays = [(client["name"], client["psub"]) for client in store.client_list(_type="pubsub")]
        assert relays == [("orderctl-relay", "2")] * count
