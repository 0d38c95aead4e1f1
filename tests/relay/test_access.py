"""Access to the relay: hosts, origins, tokens, and the messages that a customer's token allows."""

from __future__ import annotations

import json
import os
import subprocess
import time

import jwt
import pytest
import redis
import websockets
from hypothesis import given
from hypothesis import strategies as st

from orderctl.channels import Scope
from orderctl.errors import InvalidInput, Misconfigured
from orderctl.relay import tokens
from orderctl.relay.access import Access, Gate, Unauthorized, is_loopback, read_scopes, require_secret
from orderctl.relay.codecs.calls import Topic
from tests.relay.conftest import Plain, RunningRelay, SocketIo, StartRelay, play, progress
from tests.relay.test_socketio_clients import kept
from tests.script import SCRIPT
from tests.shop import Shop
from tests.waiting import eventually_async

SECRET = "a secret of sixty-four characters, as openssl rand -hex 32 makes one"


class TestGate:
    GATE = Gate(
        "10.0.0.5", ["shop.example", "Relay.Example:8443"], ["https://shop.example", "HTTP://Other:81/"]
    )

    @pytest.mark.parametrize(
        "host",
        [
            "shop.example",
            "SHOP.example.",
            "shop.example:3001",
            "relay.example:8443",
            "localhost",
            "localhost:3001",
            "127.0.0.1:3001",
            "10.0.0.5",
            "[::1]:3001",
        ],
    )
    def test_own_hosts(self, host: str):
        assert self.GATE.knows(host)

    @pytest.mark.parametrize(
        "host",
        [
            None,
            "",
            "evil.example",
            "shop.example.evil",
            "relay.example",
            "shop.example, evil.example",
            "user@shop.example",
            "shop.example/x",
            "shop.example:x",
            "[::1",
            "127.0.0.1.evil.example",
        ],
    )
    def test_other_hosts(self, host: str | None):
        assert not self.GATE.knows(host)

    @pytest.mark.parametrize(
        ("origin", "host"),
        [
            (None, "shop.example"),
            ("https://shop.example", "127.0.0.1:3001"),
            ("http://other:81", "127.0.0.1:3001"),
            ("http://127.0.0.1:3001", "127.0.0.1:3001"),
            ("https://relay.example:8443", "relay.example:8443"),
        ],
    )
    def test_own_and_listed_origins(self, origin: str | None, host: str):
        assert self.GATE.admits(origin, host)

    @pytest.mark.parametrize(
        "origin",
        [
            "",
            "null",
            "https://evil.example",
            "https://shop.example.evil",
            "http://shop.example",
            "https://shop.example:444",
            "http://127.0.0.1:8000",
            "file://127.0.0.1:3001",
            "https://shop.example, https://evil.example",
        ],
    )
    def test_other_origins(self, origin: str):
        assert not self.GATE.admits(origin, "127.0.0.1:3001")

    @given(st.text())
    def test_no_text_breaks_it(self, text: str):
        self.GATE.knows(text)
        self.GATE.admits(text, text)
        is_loopback(text)


class TestScopes:
    def test_what_they_grant(self):
        assert read_scopes(["admin"]) == (True, frozenset())
        assert read_scopes(["order:1", "order:23"]) == (False, frozenset({1, 23}))

    @pytest.mark.parametrize(
        "scopes", [[], ["x"], ["order:"], ["order:0"], ["order:x"], ["admin "], ["order:1,2"]]
    )
    def test_what_is_none(self, scopes: list[str]):
        with pytest.raises(InvalidInput):
            read_scopes(scopes)

    def test_what_may_be_heard(self):
        customer = Access("x", orders=frozenset({1}))

        assert Access("x", admin=True).allows(Topic(Scope.TASK, 9))
        assert customer.allows(Topic(Scope.ORDER, 1))
        assert customer.allows(Topic(Scope.ORDER, 2)) is False
        assert customer.allows(Topic(Scope.TASK, 9)) is None
        assert Access("x").allows(Topic(Scope.TASK, 9)) is False


def mint(*scopes: str, ttl: int = 3600, secret: str = SECRET, subject: str = "tester") -> str:
    return tokens.mint(secret, scopes=scopes, subject=subject, issued=int(time.time()), ttl=ttl)


class TestTokens:
    def test_a_token_says_what_it_grants(self):
        access = tokens.verify(SECRET, mint("order:1", "order:2", ttl=60))

        assert (access.subject, access.admin, access.orders) == ("tester", False, frozenset({1, 2}))
        assert 55 < access.expires - time.time() <= 60

    @pytest.mark.parametrize(
        "token",
        [
            "",
            "x",
            "x" * 5000,
            mint("admin", ttl=-1),
            mint("admin", secret="another secret of thirty-two characters!"),
            mint("admin")[:-2],
            jwt.encode({"sub": "x", "scope": "admin", "exp": 2**40, "iss": "orderctl"}, "", algorithm="none"),
            jwt.encode({"sub": "x", "scope": "admin", "exp": 2**40, "iss": "other"}, SECRET),
            jwt.encode({"sub": "x", "scope": "admin", "iss": "orderctl"}, SECRET),
            jwt.encode({"sub": "x", "scope": "root", "exp": 2**40, "iss": "orderctl"}, SECRET),
            jwt.encode({"scope": "admin", "exp": 2**40, "iss": "orderctl"}, SECRET),
            jwt.encode({"sub": "x", "scope": "admin", "exp": 2**40, "iss": "orderctl"}, SECRET, "HS512"),
        ],
        ids=range(12),
    )
    def test_what_is_no_token(self, token: str):
        with pytest.raises(Unauthorized):
            tokens.verify(SECRET, token)

    @given(st.text(max_size=200))
    def test_arbitrary_text_raises_nothing_else(self, text: str):
        with pytest.raises(Unauthorized):
            tokens.verify(SECRET, text)

    def test_only_loopback_goes_without_a_secret(self):
        for host in ("127.0.0.1", "::1", "localhost", "127.1.2.3"):
            require_secret(host, None)
        require_secret("0.0.0.0", SECRET)
        for host in ("0.0.0.0", "::", "192.168.1.2", "shop.example", ""):
            with pytest.raises(Misconfigured, match=r"relay\.token_secret"):
                require_secret(host, None)


class TestCommand:
    def call(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(SCRIPT), "relay", *arguments],
            capture_output=True,
            text=True,
            env=os.environ | env,
            timeout=60,
            check=False,
        )

    def test_a_token_is_made_and_good(self):
        done = self.call("token", "--scope", "order:123", "--ttl", "1h", ORDERCTL_RELAY_TOKEN_SECRET=SECRET)

        access = tokens.verify(SECRET, done.stdout.strip())
        assert access.orders == {123}
        assert "@" in access.subject
        assert 3590 < access.expires - time.time() <= 3600

    @pytest.mark.parametrize(
        ("arguments", "env", "status"),
        [
            (["token", "--scope", "admin"], {}, 78),
            (["token", "--scope", "root"], {"ORDERCTL_RELAY_TOKEN_SECRET": SECRET}, 2),
            (["token"], {"ORDERCTL_RELAY_TOKEN_SECRET": SECRET}, 2),
            (["start", "--host", "0.0.0.0"], {}, 78),
            (["start"], {"ORDERCTL_RELAY_TOKEN_SECRET": "short"}, 78),
            (["probe", "--port", "1"], {}, 69),
        ],
    )
    def test_exit_codes(self, arguments: list[str], env: dict[str, str], status: int):
        done = self.call(*arguments, **env)

        assert done.returncode == status
        assert "Traceback" not in done.stderr
        assert done.stdout == ""

    def test_a_taken_port_is_told(self, relay: RunningRelay):
        done = self.call("start", "--port", str(relay.port), ORDERCTL_REDIS_URL=relay.redis_url)

        assert done.returncode == 78
        assert f"port {relay.port}" in done.stderr

    def test_a_refusing_redis_is_told(self, own_redis):
        server = own_redis()
        with redis.Redis.from_url(server.url) as store:
            store.config_set("requirepass", "right")

        done = self.call("start", "--port", "0", ORDERCTL_REDIS_URL=server.url.replace("//", "//:wrong@"))

        assert done.returncode == 78
        assert "WRONGPASS" in done.stderr
        assert "wrong@" not in done.stderr

    def test_probe(self, relay: RunningRelay):
        done = self.call("probe", "--port", str(relay.port))

        assert (done.returncode, done.stdout) == (0, "ok\n")


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
    def test_without_a_token_nothing_is_told(self, guarded: RunningRelay, path: str):
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
    def test_an_expired_token_ends_its_connection(self, guarded: RunningRelay, kind: str):
        async def scenario():
            token = mint("admin", ttl=2)
            began = time.monotonic()
            if kind == "plain":
                client: Plain | SocketIo = await Plain.connect(guarded, additional_headers=bearer(token))
            else:
                client = await SocketIo.connect(guarded, {"token": token})
            code = await client.closed()
            return code, time.monotonic() - began

        code, seconds = play(scenario())

        assert code == 4401
        assert 0.5 < seconds < 2 + 5

    def test_nothing_that_it_says_holds_a_token(self, guarded: RunningRelay):
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
    def test_a_session_gives_nobody_more_than_their_token(
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


class TestOrigins:
    @pytest.fixture
    def relay(self, start_relay: StartRelay) -> RunningRelay:
        return start_relay("--origin", "https://shop.example", "--origin", "http://localhost:5173")

    def test_a_listed_origin_may_read(self, relay: RunningRelay):
        answer = relay.ask("/api/session", Origin="https://shop.example")

        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
        assert answer.headers["Vary"] == "Origin"

    def test_its_preflight_is_answered(self, relay: RunningRelay):
        answer = relay.ask(
            "/api/admin/orders/paid",
            "OPTIONS",
            Origin="http://localhost:5173",
            Access_Control_Request_Method="GET",
            Access_Control_Request_Headers="authorization",
        )

        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:5173"
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
        assert "POST" not in answer.headers["Access-Control-Allow-Methods"]

    def test_another_origin_is_refused_everywhere(self, relay: RunningRelay):
        headers = {"Origin": "https://evil.example"}
        answers = [relay.ask(path, **headers) for path in ("/api/session", "/healthz", "/")]

        async def scenario():
            with pytest.raises(websockets.InvalidStatus) as refused:
                await Plain.connect(relay, origin="https://evil.example")
            return refused.value.response.status_code

        assert [answer.status for answer in answers] == [403] * 3
        assert all("Access-Control-Allow-Origin" not in answer.headers for answer in answers)
        assert play(scenario()) == 403

    def test_the_relays_own_page_may_connect(self, relay: RunningRelay):
        async def scenario():
            return await (await Plain.connect(relay, origin=relay.url)).subscribe(task=1)

        assert play(scenario())["event"] == "ack"

    def test_another_name_for_our_address_is_refused(self, relay: RunningRelay):
        answer = relay.ask("/api/admin/orders/paid", Host="evil.example:3001")

        assert answer.status == 421
        assert answer.json["data"] == []

    @pytest.mark.parametrize("path", ["/healthz", "/", "/nothing", "/api/session", "/ws", "/socket.io/"])
    def test_every_answer_has_the_security_headers(self, relay: RunningRelay, path: str):
        headers = relay.ask(path).headers

        assert "script-src 'self'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert "Server" not in headers
