"""The relay's sign in Redis: what it says, that it goes at the end, and that the relay works without it."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import redis

from orderctl import __version__, broker, channels, relay_signs
from orderctl.redis_urls import Prefixed
from orderctl.relay.feed import CommandRefused
from orderctl.relay.metrics import Tally
from orderctl.relay.presence import Presence
from tests.relay.conftest import SECRET, StartRelay
from tests.test_rights import rules
from tests.waiting import eventually


def test_a_relay_reports_itself_and_takes_its_sign_away_at_the_end(
    start_relay: StartRelay, redis_url: str
) -> None:
    relay = start_relay(redis_prefix="shop1:", relay_token_secret=SECRET)
    with broker.brisk(Prefixed(redis_url, "shop1:")) as client:
        eventually(lambda: len(relay_signs.find_all(client)) == 1, "the sign")
        (sign,) = relay_signs.find_all(client)

        assert (sign.address, sign.port, sign.version) == ("127.0.0.1", relay.port, __version__)
        assert sign.secure
        assert sign.hour_ago is None
        names = set(client.keys())
        assert {name for name in names if 0 < client.ttl(name) <= relay_signs.SIGN_SECONDS} == {
            f"shop1:{channels.relay_sign(sign.name)}".encode()
        }
        assert all(client.ttl(name) > 0 for name in names)

        relay.stop()

        assert relay_signs.find_all(client) == []
        assert client.keys() == []


def test_a_relay_whose_account_may_write_no_sign_works_and_says_so_once(
    start_relay: StartRelay, own_redis
) -> None:
    server = own_redis()
    words = [word for word in rules("relay") if "sign" not in word]
    with redis.Redis(port=server.port) as admin:
        admin.execute_command("ACL", "SETUSER", "relay", *words)
        relay = start_relay(redis_url=f"redis://relay:pass@127.0.0.1:{server.port}/0")
        eventually(lambda: ":sign" in " ".join(one["object"] for one in admin.acl_log()), "the refusal")

        assert relay.ask("/healthz").status == 200
        relay.stop()

        assert admin.keys() == []
    assert relay.close().count("refuses the sign") == 1


def test_a_refusal_is_logged_again_for_another_reason_only(caplog) -> None:
    reasons = iter(["NOPERM", "NOPERM", "OOM", None, "OOM"])
    sent: Counter[object] = Counter()

    class Feed:
        key = staticmethod(str)

        def ask(self, *command):
            sent[command[0]] += 1
            answer = asyncio.get_running_loop().create_future()
            if command[0] == "DEL" and (reason := next(reasons)):
                answer.set_exception(CommandRefused(reason))
            else:
                answer.set_result(None)
            return answer

    async def scenario():
        one = Presence(SimpleNamespace(feed=Feed()), Tally(), secure=False)
        for _ in range(5):
            await one.retire()

    asyncio.run(scenario())

    assert [record.args[0] for record in caplog.records] == ["NOPERM", "OOM"]
    assert sent["DEL"] == sent["ZREM"] == 5


def test_a_number_of_connections_is_kept_every_ten_minutes_of_three_hours() -> None:
    tally = Tally()
    exchange = SimpleNamespace(hub=SimpleNamespace(counts=SimpleNamespace(subscriptions=3)))
    one = Presence(exchange, tally, secure=True)
    started = datetime(2030, 5, 1, tzinfo=UTC)
    for minute in range(0, 291, 5):
        tally.connections = minute
        sign = replace(one._sign("127.0.0.1", 3001, started), seen=started + timedelta(minutes=minute))
        one._note(sign)

    assert (sign.subscriptions, len(sign.samples)) == (3, relay_signs.MOST_SAMPLES)
    assert [sample.connections for sample in sign.samples[-3:]] == [260, 270, 280]
    assert sign.hour_ago is not None
    assert sign.hour_ago.connections == 230
