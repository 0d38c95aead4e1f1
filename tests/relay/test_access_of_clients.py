"""A relay with a token secret: who may connect, and what a customer's token allows to hear."""

from __future__ import annotations

import json

import pytest
import redis
import websockets

from tests.relay.conftest import SECRET, Plain, RunningRelay, SocketIo, StartRelay, mint, play, progress
from tests.relay.held import HeldRelay, play_held
from tests.relay.test_socketio_clients import kept
from tests.shop import Shop
from tests.waiting import eventually_async


@pytest.fixture
def guarded(start_relay: StartRelay) -> RunningRelay:
    """A relay with a token secret."""
    return start_relay(relay_token_secret=SECRET)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class TestGuardedRelay:
    def test_the_first_frame_carries_the_token(self, guarded: RunningRelay, store: redis.Redis):
        async def scenario():
            client = await Plain.connect(guarded)
            refused = await client.subscribe(task=456)
            wrong = await client.call("auth", {"token": "x"})
            right = await client.call("auth", {"token": mint("admin")})
            answer = await client.subscribe(task=456)
            store.publish("task:456:progress", progress(42))
            return refused, wrong, right, answer, await client.hear()

        refused, wrong, right, answer, heard = play(scenario())

        assert [one["event"] for one in (refused, wrong, right, answer)] == ["error", "error", "ack", "ack"]
        assert heard["event"] == "progress"

    def test_the_auth_object_carries_the_token(self, guarded: RunningRelay):
        async def scenario():
            client = await SocketIo.open(guarded)
            refused = await client.say("40")
            wrong = await client.say('40{"token":"x"}')
            right = await client.say("40" + json.dumps({"token": mint("admin")}))
            return refused, wrong, right, await client.subscribe(task=1)

        refused, wrong, right, answer = play(scenario())

        assert refused.startswith("44{")
        assert wrong == '44{"message":"the token is not valid"}'
        assert right.startswith("40{")
        assert answer["ok"]

    @pytest.mark.parametrize("how", ["header", "cookie"])
    def test_a_header_or_a_cookie_carries_the_token(self, guarded: RunningRelay, how: str):
        token = mint("admin")
        headers = bearer(token) if how == "header" else {"Cookie": f"a=b; orderctl_token={token}"}

        async def scenario():
            plain = await Plain.connect(guarded, additional_headers=headers)
            socketio = await SocketIo.connect(guarded, additional_headers=headers)
            return await plain.subscribe(task=1), await socketio.subscribe(task=1)

        plain, socketio = play(scenario())
        assert plain["event"] == "ack"
        assert socketio["ok"]
        assert guarded.ask("/api/session", **headers).json["data"]["admin"]

    def test_a_wrong_header_is_refused_at_the_door(self, guarded: RunningRelay):
        async def scenario():
            with pytest.raises(websockets.InvalidStatus) as refused:
                await Plain.connect(guarded, additional_headers=bearer("x"))
            return refused.value.response

        response = play(scenario())

        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"

    @pytest.mark.parametrize("path", ["/api/admin/orders/paid", "/api/admin/dashboard/stats", "/metrics"])
    def test_without_a_token_nothing_is_shown(self, guarded: RunningRelay, path: str):
        nobody = guarded.ask(path)
        customer = guarded.ask(path, **bearer(mint("order:1")))
        wrong = guarded.ask(path, **bearer("x"))

        assert nobody.status == wrong.status == 401
        assert customer.status in (401, 403)
        assert all("error" in answer.json for answer in (nobody, customer, wrong))
        if path.startswith("/api"):
            assert all("data" in answer.json for answer in (nobody, customer, wrong))

    def test_metrics_for_an_admin(self, guarded: RunningRelay):
        assert b"orderctl_relay_redis_up 1.0" in guarded.ask("/metrics", **bearer(mint("admin"))).body
        assert guarded.ask("/healthz").status == 200

    @pytest.mark.parametrize(
        "others", ["a=b; ", "b[]=1; ", 'x={"y":1}; ', "x=\u00fc; ", "x=a b; ", "x; ", "; =; ", 'x="a\\"b"; ']
    )
    def test_other_programs_cookies_on_this_host_do_not_matter(self, guarded: RunningRelay, others: str):
        cookie = f"{others}orderctl_token={mint('admin')}; c=d"

        assert guarded.ask("/api/session", Cookie=cookie).status == 200

    def test_the_pages_cookie(self, guarded: RunningRelay):
        token = mint("admin", ttl=600)
        action = {"X_Orderctl_Action": "session"}

        begun = guarded.ask("/api/session", "POST", **bearer(token), **action)
        secure = guarded.ask("/api/session", "POST", **bearer(token), **action, X_Forwarded_Proto="https")
        without = guarded.ask("/api/session", "POST", **bearer(token))
        name, _, rest = begun.headers["Set-Cookie"].partition("=")
        value, _, attributes = rest.partition("; ")
        seen = guarded.ask("/api/session", Cookie=f"{name}={value}")
        ended = guarded.ask("/api/session/end", "POST", Cookie=f"{name}={value}", **action)

        assert begun.status == 200
        assert begun.json["data"]["subject"] == "tester"
        assert value == token
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes.split("; "))
        assert "Secure" not in attributes
        assert secure.headers["Set-Cookie"].endswith("; Secure")
        assert without.status == 403
        assert seen.json["data"] == begun.json["data"]
        assert seen.json["data"]["currency"] == "VND"
        assert "orderctl_token=; Max-Age=0" in ended.headers["Set-Cookie"]

    @pytest.mark.parametrize("kind", ["plain", "socketio"])
    def test_an_expired_token_ends_its_connection(self, redis_url: str, kind: str):
        async def scenario(relay: HeldRelay) -> list[int | None]:
            token = mint("admin", ttl=3600)
            if kind == "plain":
                options = {"additional_headers": bearer(token), "ping_interval": None}
                client: Plain | SocketIo = await Plain.connect(relay, **options)
            else:
                client = await SocketIo.connect(relay, {"token": token}, ping_interval=None)
            codes = []
            for seconds in (3600 - 120, 121, 1):
                await relay.pass_time(seconds)
                codes.append(client.socket.close_code)
            return codes

        codes = play_held(scenario, redis_url, token_secret=SECRET)

        assert (codes[0], codes[-1]) == (None, 4401)

    @pytest.mark.databases("sqlite")
    def test_nothing_that_it_says_holds_a_token(self, start_relay: StartRelay, migrated_url: str):
        guarded = start_relay(relay_token_secret=SECRET, database_url=migrated_url)
        token = mint("admin")
        guarded.ask(f"/api/session?token={token}", **bearer(token))
        guarded.ask("/api/session", **bearer(token + "x"))

        async def scenario():
            client = await SocketIo.connect(guarded, {"token": token})
            client.socket.transport.abort()

        play(scenario())

        assert guarded.stop() == 0
        assert guarded.close() == ""


class TestCustomer:
    @pytest.fixture
    def relay(self, start_relay: StartRelay, migrated_url: str) -> RunningRelay:
        return start_relay(relay_token_secret=SECRET, database_url=migrated_url)

    @pytest.mark.parametrize("kind", ["plain", "socketio"])
    def test_a_customer_hears_their_order_and_its_tasks_and_nothing_else(
        self, relay: RunningRelay, shop: Shop, store: redis.Redis, kind: str
    ):
        own, other = shop.paid("DH1", 1)[0], shop.paid("DH2", 1)[0]
        mine, yours = shop.order("DH1").id, shop.order("DH2").id
        token = mint(f"order:{mine}")

        async def scenario():
            if kind == "plain":
                client: Plain | SocketIo = await Plain.connect(relay, additional_headers=bearer(token))
            else:
                client = await SocketIo.connect(relay, {"token": token})
            asked = [
                {"order": mine},
                {"task": own},
                {"order": yours},
                {"task": other},
                {"task": 999},
                {"task": own},
            ]
            answers = [await client.subscribe(**subject) for subject in asked]
            store.publish(f"task:{other}:progress", progress(1, other))
            store.publish(f"order:{yours}:progress", progress(2))
            store.publish(f"task:{own}:progress", progress(3, own))
            store.publish(f"order:{mine}:progress", progress(4))
            heard = [await client.hear() for _ in range(2)]
            return answers, heard

        answers, heard = play(scenario())

        granted = [answer.get("event") == "ack" or answer.get("ok", False) for answer in answers]
        assert granted == [True, True, False, False, False, True]
        inner = [one["data"] if kind == "plain" else one[1] for one in heard]
        assert [one["data"]["percent"] for one in inner] == [3, 4]

    @pytest.mark.databases("sqlite")
    def test_a_lesser_token_on_the_same_connection(self, relay: RunningRelay, shop: Shop, store: redis.Redis):
        [own], [other] = shop.paid("DH1", 1), shop.paid("DH2", 1)
        mine, yours = shop.order("DH1").id, shop.order("DH2").id

        async def scenario():
            client = await Plain.connect(relay, additional_headers=bearer(mint("admin")))
            for subject in ({"order": yours}, {"task": other}, {"order": mine}, {"task": own}):
                await client.subscribe(**subject)
            await client.say("auth", {"token": mint(f"order:{mine}")})
            told = [await client.hear() for _ in range(3)]
            store.publish(f"task:{other}:progress", progress(1, other))
            store.publish(f"order:{yours}:progress", progress(2))
            store.publish(f"order:{mine}:progress", progress(3))
            return told, await client.hear()

        told, heard = play(scenario())

        assert [one["event"] for one in told] == ["relay:unsubscribed", "ack", "relay:unsubscribed"]
        assert [told[0]["data"]["id"], told[2]["data"]["id"]] == [yours, other]
        assert heard["data"]["data"]["percent"] == 3

    @pytest.mark.databases("sqlite")
    def test_a_session_allows_no_more_than_the_token(
        self, relay: RunningRelay, shop: Shop, store: redis.Redis
    ):
        [own], [other] = shop.paid("DH1", 1), shop.paid("DH2", 1)
        mine = shop.order("DH1").id

        async def scenario():
            admin = await SocketIo.connect(relay, {"token": mint("admin")})
            for task in (own, other):
                await admin.subscribe(task=task)
            admin.socket.transport.abort()
            await eventually_async(lambda: len(kept(store)) == 2, "two sessions")
            customer = await SocketIo.connect(
                relay, {"token": mint(f"order:{mine}"), "pid": admin.session["pid"]}
            )
            assert (await customer.subscribe(task=own))["ok"]
            assert not (await customer.subscribe(task=other))["ok"]
            store.publish(f"task:{other}:progress", progress(1, other))
            store.publish(f"task:{own}:progress", progress(3, own))
            return await customer.hear()

        assert play(scenario())[1]["data"]["percent"] == 3

    @pytest.mark.databases("sqlite")
    def test_a_dead_database_refuses_tasks_and_not_orders(self, start_relay: StartRelay):
        relay = start_relay(relay_token_secret=SECRET, database_url="mysql://nobody@127.0.0.1:1/none")

        async def scenario():
            client = await Plain.connect(relay, additional_headers=bearer(mint("order:1")))
            return await client.subscribe(order=1), await client.subscribe(task=1)

        order, task = play(scenario())
        assert order["event"] == "ack"
        assert task["event"] == "error"
