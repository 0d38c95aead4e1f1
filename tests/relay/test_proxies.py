"""The documented nginx and HAProxy configurations with the real programs, and two relays on one port."""

from __future__ import annotations

import asyncio
import csv
import json
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import redis
import websockets

from tests.relay.conftest import SECRET, SOON, Plain, RunningRelay, SocketIo, StartRelay, mint, play, progress
from tests.relay.proxies import NAME, Certificate, Proxy, running_haproxy, running_nginx
from tests.relay.wire import chunks, request
from tests.servers.process import free_port
from tests.shop import Shop
from tests.waiting import eventually_async

pytestmark = pytest.mark.databases("sqlite")


def ask(method: str, target: str, *fields: str, body: bytes = b"") -> bytes:
    return request(method, target, "Cookie: shop=yes", *fields, body=body, host=NAME)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate.make(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def relays(start_relay: StartRelay, migrated_url: str) -> list[RunningRelay]:
    """Two relays with a secret, started as documented."""
    arguments = ("--hosts", NAME, "--max-connections-per-address", "0")
    settings = {"relay_token_secret": SECRET, "database_url": migrated_url}
    return [start_relay(*arguments, **settings) for _ in range(2)]


@pytest.fixture
def nginx(relays: list[RunningRelay], certificate: Certificate, tmp_path: Path) -> Iterator[Proxy]:
    with running_nginx(tmp_path, relays, certificate, mint("admin")) as proxy:
        yield proxy


@pytest.fixture
def haproxy(relays: list[RunningRelay], certificate: Certificate, tmp_path: Path) -> Iterator[Proxy]:
    with running_haproxy(tmp_path, relays, certificate, mint("admin")) as proxy:
        yield proxy


async def hear_through(proxy: Proxy, store: redis.Redis, **headers: str) -> tuple[object, object, str]:
    """Check a plain client, a Socket.IO client without a token, and an API request through a proxy."""
    plain = Plain(await proxy.connect("/ws", **headers))
    socketio = SocketIo(await proxy.connect("/socket.io/?EIO=4&transport=websocket", **headers))
    await socketio.packet()
    assert (await socketio.say("40")).startswith("40")
    await plain.subscribe(task=456)
    assert (await socketio.subscribe(task=456))["ok"]
    store.publish("task:456:progress", progress(42))
    heard = (await plain.hear())["data"]["data"]["percent"], (await socketio.hear())[1]["data"]["percent"]
    return *heard, await asyncio.to_thread(proxy.get, "/api/admin/orders/paid", **headers)


class TestNginx:
    def test_a_dashboard_without_a_token_works_behind_the_shops_login(self, nginx: Proxy, store: redis.Redis):
        plain, socketio, status = play(hear_through(nginx, store, Cookie="shop=yes"))

        assert (plain, socketio) == (42, 42)
        assert status == 200

    def test_without_the_login_no_client_is_let_in(self, nginx: Proxy):
        async def scenario():
            with pytest.raises(websockets.InvalidStatus) as refused:
                await nginx.connect("/ws")
            return refused.value.response.status_code

        assert play(scenario()) == 401
        assert nginx.get("/api/admin/orders/paid") == 401
        assert nginx.get("/metrics", Cookie="shop=yes") == 404

    def test_a_client_moves_to_the_other_relay(
        self, nginx: Proxy, relays: list[RunningRelay], store: redis.Redis
    ):
        headers = {"Cookie": "shop=yes"}
        path = "/socket.io/?EIO=4&transport=websocket"

        async def scenario():
            client = SocketIo(await nginx.connect(path, **headers))
            await client.packet()
            session = (await client.say("40"))[2:]
            await client.subscribe(task=456)
            await eventually_async(lambda: store.keys("orderctl:relay:session:*"), "the session")
            busy = next(relay for relay in relays if await_subscription(relay))
            await asyncio.to_thread(busy.stop)
            await client.closed()
            again = SocketIo(await nginx.connect(path, **headers))
            await again.packet()
            recovered = await again.say(f"40{session}")
            store.publish("task:456:progress", progress(43))
            return session, recovered, await again.hear()

        session, recovered, heard = play(scenario())

        assert recovered == f"40{session}"
        assert heard[1]["data"]["percent"] == 43


def await_subscription(relay: RunningRelay) -> bool:
    text = relay.ask("/metrics", Authorization=f"Bearer {mint('admin')}").body
    return b"orderctl_relay_subscriptions 1.0" in text


class TestHaproxy:
    def test_a_dashboard_without_a_token_works(self, haproxy: Proxy, store: redis.Redis):
        plain, socketio, status = play(hear_through(haproxy, store))

        assert (plain, socketio) == (42, 42)
        assert status == 200

    def test_a_relay_that_ends_is_left_out(
        self, haproxy: Proxy, relays: list[RunningRelay], store: redis.Redis
    ):
        relays[0].stop()

        async def scenario():
            async with asyncio.timeout(SOON):
                while True:
                    try:
                        client = Plain(await haproxy.connect("/ws"))
                        break
                    except (websockets.InvalidStatus, OSError, websockets.InvalidMessage):
                        await asyncio.sleep(0.1)
            await client.subscribe(task=456)
            store.publish("task:456:progress", progress(44))
            return await client.hear()

        assert play(scenario())["data"]["data"]["percent"] == 44


def test_a_bank_pays_through_each_proxy(
    start_relay: StartRelay, migrated_url: str, certificate: Certificate, shop: Shop, tmp_path: Path
):
    """With its own key, which no proxy may replace, without the shop's login, and while Redis is away."""
    key = "plain-key-0123456789abcdef"
    settings = {"payments_plain_api_key": key, "relay_token_secret": SECRET, "database_url": migrated_url}
    away = f"redis://127.0.0.1:{free_port()}/0"
    relays = [start_relay("--accept-payments", "--hosts", NAME, redis_url=away, **settings)] * 2

    async def has_no_relay_for_dashboards(proxy: Proxy) -> bool:
        caller = await proxy.call()
        answer = await caller.ask(ask("GET", "/api/admin/orders/paid"))
        await caller.close()
        return answer.status == 503

    def pay(proxy: Proxy, code: str, *fields: str) -> int:
        async def scenario() -> int:
            caller = await proxy.call()
            body = json.dumps({"code": code, "transferAmount": 300_000}).encode()
            answer = await caller.ask(request("POST", BANKS, *fields, body=body, host=NAME))
            await caller.close()
            return answer.status

        return play(scenario())

    for code, running in (("DH1", running_nginx), ("DH2", running_haproxy)):
        shop.add(code)
        folder = tmp_path / code
        folder.mkdir()
        with running(folder, relays, certificate, mint("admin")) as proxy:
            if running is running_haproxy:  # it asks for the relays' health
                play(eventually_async(partial(has_no_relay_for_dashboards, proxy), "HAProxy's verdict", SOON))
            assert pay(proxy, code) == 401
            assert pay(proxy, code, f"Authorization: Apikey {key}") == 200
        assert shop.order(code).payment_status == "paid"


STATS = "/api/admin/dashboard/stats"
BANKS = "/api/payment/webhook"
ORDERS = "/api/admin/orders/paid"
CHUNKED = "Transfer-Encoding: chunked"
ACTION = "X-Orderctl-Action: 1"
#: Requests as strangers send them, and the statuses that the relay may answer.
STRANGE: list[tuple[bytes, set[int]]] = [
    (ask("GET", STATS), {200}),
    (ask("GET", ORDERS, body=b"x" * 20_000), {200}),
    (ask("GET", f"{ORDERS}?limit=x"), {400}),
    (ask("GET", f"{ORDERS}?" + "a&" * 100), {400}),
    (ask("GET", "/api/admin/nothing"), {404}),
    (ask("GET", "/api/admin//orders"), {404}),
    (ask("GET", "/api/admin/%6frders/paid"), {404}),
    (ask("HEAD", STATS), {200}),
    (ask("HEAD", "/api/admin/nothing"), {404}),
    (ask("OPTIONS", STATS), {204}),
    (ask("PUT", ORDERS, body=b"{}"), {405}),
    (ask("PATCH", ORDERS, CHUNKED) + chunks(b"{", b"}"), {405}),
    (ask("DELETE", "/api/admin/tasks/1/retry"), {405}),
    (ask("PROPFIND", ORDERS), {405}),
    (ask("POST", ORDERS, body=b'{"a": 1}'), {403}),
    (ask("POST", STATS, CHUNKED) + chunks(b"x" * 1000, b"y"), {403}),
    (ask("POST", "/api/admin/tasks/1/retry", ACTION, body=b"{}"), {403}),
    (ask("POST", "/api/admin/tasks/1/cancel", ACTION), {403}),
    (ask("POST", "/api/admin/tasks/x/retry", ACTION, CHUNKED) + chunks(), {404}),
    (ask("POST", ORDERS, body=b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"), {403}),
    (ask("POST", ORDERS, body=b"x" * 300_000), {413}),
    (ask("POST", ORDERS, CHUNKED) + chunks(*[b"x" * 10_000] * 30), {413}),
    (ask("POST", ORDERS, "Expect: 100-continue", body=b"x"), {403}),
    (ask("GET", STATS, "Cookie: a=" + "x" * 7000), {200}),
    (ask("GET", STATS, *[f"X-{number}: {'x' * 6000}" for number in range(4)]), {400, 431}),
    (ask("GET", STATS, *["a: b"] * 80), {200}),
    (ask("GET", "/api/admin/" + "x" * 6000), {404}),
    (ask("GET", STATS, "Origin: https://evil.example"), {403}),
    (ask("GET", STATS, "Authorization: Bearer x"), {200}),
    (ask("GET", STATS, "Range: bytes=0-1", "If-None-Match: *", "TE: trailers"), {200}),
    (ask("GET", "/ws"), {426}),
    (ask("POST", "/ws", body=b"{}"), {405, 426}),
    (ask("GET", "/ws", "Upgrade: h2c", "Connection: Upgrade"), {426}),
    (ask("GET", "/ws", "Upgrade: websocket", "Connection: Upgrade"), {400, 426}),
    (ask("GET", "/socket.io/?EIO=4&transport=polling"), {400}),
    (ask("POST", "/socket.io/?EIO=4&transport=polling", body=b"40"), {400}),
    (ask("GET", "/socket.io/?EIO=3&transport=websocket"), {400}),
    (ask("GET", "/socket.io/x"), {404}),
    (ask("GET", "/api/admin/orders/1/logs?limit=5", body=b"{}"), {200, 404}),
    (ask("TRACE", ORDERS), {405}),
    (ask("POST", BANKS, body=b'{"code": "DH1"}'), {404, 405}),
    (ask("POST", f"{BANKS}/plain", CHUNKED) + chunks(*[b"x" * 10_000] * 20), {404, 405}),
    (ask("POST", BANKS, body=b"x" * 300_000), {413}),
    (ask("GET", BANKS), {404}),
]


async def ask_through(proxy: Proxy) -> list[str]:
    """Send all requests through a proxy, alone and pipelined; return what was answered otherwise."""
    wrong = []
    for data, allowed in STRANGE:
        caller = await proxy.call()
        status = (await caller.ask(data)).status
        await caller.close()
        if status not in allowed:
            wrong.append(f"{status} for {data[:60]!r}")
    caller = await proxy.call()
    batch = [data for data, allowed in STRANGE if allowed <= {200, 404}]
    caller.send(b"".join(batch))
    for place, data in enumerate(batch):
        try:
            status = (await caller.answer(to_head=data.startswith(b"HEAD"))).status
        except asyncio.IncompleteReadError:
            wrong.append(f"the end after {place} of {len(batch)} pipelined requests")
            break
        if status not in {200, 404}:
            wrong.append(f"{status} for {data[:60]!r} pipelined")
    await caller.close()
    return wrong


async def storm_through(proxy: Proxy, store: redis.Redis) -> list[str]:
    """Send all requests while clients are connected, which must hear everything."""
    clients = [Plain(await proxy.connect("/ws", Cookie="shop=yes")) for _ in range(4)]
    for client in clients:
        await client.subscribe(task=456)
    wrong = await ask_through(proxy)
    store.publish("task:456:progress", progress(45, currentFile=str(proxy.port)))
    for client in clients:
        while (await client.hear())["data"]["data"]["currentFile"] != str(proxy.port):
            pass
    return wrong


KEPT = {"    least_conn;": "    least_conn; keepalive 8;", "''      close;": "''      '';"}
NGINX = {
    "as documented": {},
    "kept connections": KEPT,
    "bodies as they come": {
        **KEPT,
        "proxy_buffering off;": "proxy_buffering off; proxy_request_buffering off;",
    },
}


def test_no_request_makes_a_proxy_take_a_relay_for_failed(
    relays: list[RunningRelay], certificate: Certificate, store: redis.Redis, tmp_path: Path
):
    """One test for all configurations: they share the relays, whose start takes longest."""
    wrong: dict[str, list[str]] = {}
    for name, changes in NGINX.items():
        folder = tmp_path / name.replace(" ", "-")
        folder.mkdir()
        with running_nginx(folder, relays, certificate, mint("admin"), changes) as proxy:
            wrong[name] = play(storm_through(proxy, store))
        said = (folder / "error.log").read_text().splitlines()
        wrong[name] += [line for line in said if "upstream" in line]
    for reuse in ("never", "always"):
        changes = {
            "defaults\n": f"global\n    stats socket {tmp_path}/{reuse}\n\ndefaults\n",
            "    balance leastconn": f"    balance leastconn\n    http-reuse {reuse}",
        }
        with running_haproxy(tmp_path, relays, certificate, mint("admin"), changes) as proxy:
            wrong[reuse] = play(storm_through(proxy, store))
            wrong[reuse] += complaints_of_haproxy(tmp_path / reuse)

    assert wrong == {name: [] for name in (*NGINX, "never", "always")}


def complaints_of_haproxy(place: Path) -> list[str]:
    """Return the errors that HAProxy has counted, of each relay."""
    with socket.socket(socket.AF_UNIX) as stats:
        stats.connect(str(place))
        stats.sendall(b"show stat\n")
        text = stats.makefile().read()
    servers = [
        row for row in csv.DictReader(text.removeprefix("# ").splitlines()) if row["svname"][:5] == "relay"
    ]
    assert len(servers) == 4  # for dashboards, and for banks
    counted = ("econ", "eresp", "wretr", "wredis")
    return [
        f"{row['pxname']} {row['svname']} {name} {row[name]}"
        for row in servers
        for name in counted
        if row[name] != "0"
    ]


class TestOnePort:
    def test_two_relays_share_it_and_each_client_is_served_whole(
        self, start_relay: StartRelay, store: redis.Redis
    ):
        first = start_relay("--reuse-port")
        second = start_relay("--reuse-port", port=str(first.port))

        async def scenario():
            clients = [await Plain.connect(first) for _ in range(40)]
            for client in clients:
                await client.subscribe(task=456)
            store.publish("task:456:progress", progress(42))
            heard = [await client.hear() for client in clients]
            await asyncio.to_thread(first.stop)
            codes = []
            for client in clients:
                try:
                    codes.append((await client.call("x"))["event"])
                except websockets.ConnectionClosed:
                    codes.append(str(await client.closed()))
            late = await Plain.connect(second)
            return heard, codes, await late.subscribe(task=1)

        heard, codes, late = play(scenario())

        assert all(one["data"]["data"]["percent"] == 42 for one in heard)
        assert set(codes) == {"1012", "error"}
        assert late["event"] == "ack"

    def test_without_the_option_the_port_is_taken(self, relay: RunningRelay, start_relay: StartRelay):
        with pytest.raises(AssertionError, match="cannot listen"):
            start_relay(port=str(relay.port))
