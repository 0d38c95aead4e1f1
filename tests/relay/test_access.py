"""Access to the relay: hosts, origins, tokens, and the messages that a customer's token allows."""

from __future__ import annotations

import os
import subprocess
import time

import pytest
import redis
import websockets
from hypothesis import given
from hypothesis import strategies as st

from orderctl.channels import Scope
from orderctl.errors import InvalidInput, Misconfigured
from orderctl.relay import tokens
from orderctl.relay.access import Access, Gate, Scopes, is_loopback, read_scopes
from orderctl.relay.codecs.calls import Topic
from tests.relay.conftest import SECRET, Plain, RunningRelay, StartRelay, play
from tests.script import SCRIPT


class TestGate:
    GATE = Gate(
        "10.0.0.5", ["shop.example", "Relay.Example:8443"], ["https://shop.example", "HTTP://Other:81/"]
    )

    @pytest.mark.parametrize(
        "text", ["*", "shop.example", "https://*.shop.example", "https://a/b", "https:", "//a"]
    )
    def test_an_origin_that_no_browser_sends_is_refused(self, text: str):
        with pytest.raises(Misconfigured, match="is not an origin"):
            Gate("localhost", [], [text])

    @pytest.mark.parametrize(
        "text", ["*", "https://shop.example", "shop.example/", "*.shop.example", "a@b", "a b"]
    )
    def test_a_host_that_no_client_sends_is_refused(self, text: str):
        with pytest.raises(Misconfigured, match="is not a host name"):
            Gate("localhost", [text], [])

    @pytest.mark.parametrize("origin", ["null", "chrome-extension://abc", "http://[::1]:3001", "https://a/"])
    def test_odd_origins_of_browsers(self, origin: str):
        assert Gate("localhost", [], [origin]).admits(origin.rstrip("/"), "other")

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
        assert read_scopes(["admin"]) == Scopes(admin=True)
        assert read_scopes(["order:1", "order:23"]) == Scopes(orders=frozenset({1, 23}))
        assert read_scopes(["viewer", "emails", "action:retry"]) == Scopes(
            viewer=True, emails=True, actions=frozenset({"retry"})
        )
        assert read_scopes(["viewer", "admin"]).admin

    @pytest.mark.parametrize(
        "scopes",
        [
            [],
            ["x"],
            ["order:"],
            ["order:0"],
            ["order:x"],
            ["admin "],
            ["order:1,2"],
            ["emails"],
            ["action:retry"],
            ["viewer", "action:pay"],
            ["viewer", "action:"],
            ["retry"],
        ],
    )
    def test_what_is_none(self, scopes: list[str]):
        with pytest.raises(InvalidInput):
            read_scopes(scopes)

    @pytest.mark.parametrize(
        ("scope", "hint"),
        [
            ("action:foo", "viewer --scope action:retry"),
            ("retry", "viewer --scope action:retry"),
            ("viewer,emails", "viewer --scope emails"),
            ("emails, viewer, action:cancel", "viewer --scope emails --scope action:cancel"),
            ("action:cancel", "viewer --scope action:cancel"),
            ("order:x", "order:123"),
            ("root", "order:123"),
        ],
    )
    def test_the_hint_is_what_was_meant(self, scope: str, hint: str):
        with pytest.raises(InvalidInput, match="viewer") as raised:
            read_scopes([scope])
        assert raised.value.hint == f"orderctl relay token --scope {hint}"

    def test_what_may_be_heard(self):
        customer = Access("x", orders=frozenset({1}))

        assert Access("x", admin=True).allows(Topic(Scope.TASK, 9))
        assert customer.allows(Topic(Scope.ORDER, 1))
        assert customer.allows(Topic(Scope.ORDER, 2)) is False
        assert customer.allows(Topic(Scope.TASK, 9)) is None
        assert Access("x").allows(Topic(Scope.TASK, 9)) is False


class TestCommand:
    def call(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(SCRIPT), "relay", *arguments],
            capture_output=True,
            text=True,
            env=os.environ | env,
            timeout=120,
            check=False,
        )

    def test_a_token_is_made_and_good(self):
        before = int(time.time())
        done = self.call("token", "--scope", "order:123", "--ttl", "1h", ORDERCTL_RELAY_TOKEN_SECRET=SECRET)

        access = tokens.verify(SECRET, done.stdout.strip())
        assert access.orders == {123}
        assert "@" in access.subject
        assert before + 3600 <= access.expires <= time.time() + 3600

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

    def test_a_taken_port_is_reported(self, relay: RunningRelay):
        done = self.call("start", "--port", str(relay.port), ORDERCTL_REDIS_URL=relay.redis_url)

        assert done.returncode == 78
        assert f"port {relay.port}" in done.stderr

    def test_a_redis_that_refuses_commands_is_reported(self, own_redis):
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
