"""The documented nginx and HAProxy configurations with the real programs, and two relays on one port."""

from __future__ import annotations

import asyncio
import datetime as dt
import http.server
import ipaddress
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import websockets
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from orderctl.relay import tokens
from tests.relay.conftest import SECRET, SOON, Plain, RunningRelay, SocketIo, StartRelay, play, progress
from tests.servers.availability import needed
from tests.servers.process import free_port
from tests.servers.programs import find_or_fetch
from tests.waiting import eventually, eventually_async

DOCUMENT = Path(__file__).parents[2] / "docs" / "relay.md"
NAME = "shop.example"


def documented(language: str) -> str:
    """Return the only example in that language."""
    [example] = re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return example


def replaced(text: str, changes: dict[str, object]) -> str:
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, str(new))
    return text


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for the shop's name, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    names = x509.SubjectAlternativeName(
        [x509.DNSName(NAME), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


class Login(http.server.BaseHTTPRequestHandler):
    """The shop's login: a request with its cookie may pass."""

    def do_GET(self) -> None:
        self.send_response(200 if "shop=yes" in self.headers.get("Cookie", "") else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def login() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Login) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def relays(start_relay: StartRelay) -> list[RunningRelay]:
    """Two relays with a secret, started as documented."""
    arguments = ("--hosts", NAME, "--max-connections-per-address", "0")
    return [start_relay(*arguments, relay_token_secret=SECRET) for _ in range(2)]


@pytest.fixture
def token() -> str:
    return tokens.mint(SECRET, scopes=["admin"], subject="proxy", issued=int(time.time()), ttl=3600)


class Proxy:
    """A running proxy.

    Args:
        command: Its command line; it runs in the foreground.
        folder: Its working folder, by which it is found when its title has overwritten its environment.
        port: Its port.
        trust: Its certificate.
    """

    def __init__(self, command: list[str], port: int, trust: Path, folder: Path, env: dict[str, str]) -> None:
        self.port = port
        self.tls = ssl.create_default_context(cafile=str(trust))
        self.process = subprocess.Popen(
            command,
            env=os.environ | env,
            cwd=folder,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        eventually(self._listens, "the proxy")

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            assert self.process.poll() is None, self.process.communicate()[1]
            return False
        return True

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=SOON)

    async def connect(self, path: str, **headers: str) -> websockets.ClientConnection:
        return await websockets.connect(
            f"wss://{NAME}{path}",
            sock=socket.create_connection(("127.0.0.1", self.port)),
            ssl=self.tls,
            server_hostname=NAME,
            origin=f"https://{NAME}",
            additional_headers=headers,
            compression=None,
        )

    def get(self, path: str, **headers: str) -> int:
        """Return the status of an HTTP request."""
        with (
            socket.create_connection(("127.0.0.1", self.port), SOON) as raw,
            self.tls.wrap_socket(raw, server_hostname=NAME) as secure,
        ):
            lines = [f"GET {path} HTTP/1.1", f"Host: {NAME}", "Connection: close"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            secure.sendall("\r\n".join([*lines, "", ""]).encode())
            return int(secure.makefile("rb").readline().split()[1])


@pytest.fixture
def nginx(
    relays: list[RunningRelay], login: int, certificate: tuple[Path, Path], token: str, tmp_path: Path
) -> Iterator[Proxy]:
    with needed():
        program = find_or_fetch("nginx", "nginx")
    port = free_port()
    (tmp_path / "token.conf").write_text(f'proxy_set_header Authorization "Bearer {token}";\n')
    (tmp_path / "token.conf").chmod(0o600)
    site = replaced(
        documented("nginx"),
        {
            "127.0.0.1:3001": f"127.0.0.1:{relays[0].port}",
            "127.0.0.1:3002": f"127.0.0.1:{relays[1].port}",
            "127.0.0.1:3000": f"127.0.0.1:{login}",
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "/etc/ssl/shop.example.pem": certificate[0],
            "/etc/ssl/shop.example.key": certificate[1],
            "/etc/nginx/orderctl-token.conf": tmp_path / "token.conf",
        },
    )
    places = "".join(
        f"{name}_temp_path {tmp_path}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "nginx.conf").write_text(
        f"{'user root;' if os.geteuid() == 0 else ''}\ndaemon off; worker_processes 1; pid {tmp_path}/pid;\n"
        f"error_log {tmp_path}/error.log;\nevents {{}}\nhttp {{\naccess_log off;\n{places}{site}}}\n"
    )
    proxy = Proxy(
        [str(program), "-e", "stderr", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")],
        port,
        certificate[0],
        tmp_path,
        {},
    )
    yield proxy
    proxy.close()


@pytest.fixture
def haproxy(
    relays: list[RunningRelay], certificate: tuple[Path, Path], token: str, tmp_path: Path
) -> Iterator[Proxy]:
    with needed():
        program = find_or_fetch("haproxy", "haproxy")
    port = free_port()
    both = tmp_path / "both.pem"
    both.write_bytes(b"".join(path.read_bytes() for path in certificate))
    config = replaced(
        documented("haproxy"),
        {
            "bind :443": f"bind 127.0.0.1:{port}",
            "/etc/haproxy/shop.example.pem": both,
            "127.0.0.1:3001": f"127.0.0.1:{relays[0].port}",
            "127.0.0.1:3002": f"127.0.0.1:{relays[1].port}",
        },
    )
    (tmp_path / "haproxy.cfg").write_text(config)
    command = [str(program), "-db", "-f", str(tmp_path / "haproxy.cfg")]
    proxy = Proxy(command, port, certificate[0], tmp_path, {"ORDERCTL_RELAY_TOKEN": token})
    yield proxy
    proxy.close()


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
        assert status in (200, 500)  # the API answers 503: the database is not migrated here

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
    token = tokens.mint(SECRET, scopes=["admin"], subject="test", issued=int(time.time()), ttl=60)
    text = relay.ask("/metrics", Authorization=f"Bearer {token}").body
    return b"orderctl_relay_subscriptions 1.0" in text


class TestHaproxy:
    def test_a_dashboard_without_a_token_works(self, haproxy: Proxy, store: redis.Redis):
        plain, socketio, status = play(hear_through(haproxy, store))

        assert (plain, socketio) == (42, 42)
        assert status in (200, 500)

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
