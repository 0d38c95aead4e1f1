"""The documented nginx and HAProxy configurations, run with the real programs in front of relays."""

from __future__ import annotations

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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

import websockets
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.relay.conftest import SOON, RunningRelay
from tests.relay.wire import Caller
from tests.servers.availability import needed
from tests.servers.process import free_port
from tests.servers.programs import find_or_fetch
from tests.waiting import eventually

DOCUMENT = Path(__file__).parents[2] / "docs" / "relay.md"
NAME = "shop.example"


def documented(language: str) -> str:
    """Return the only example in that language."""
    [example] = re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return example


def replaced(text: str, changes: Mapping[str, object]) -> str:
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, str(new))
    return text


class Certificate(NamedTuple):
    """A certificate for the shop's name, and its key."""

    file: Path
    key: Path

    @classmethod
    def make(cls, folder: Path) -> Self:
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
        pem = serialization.Encoding.PEM
        (folder / "cert.pem").write_bytes(made.public_bytes(pem))
        (folder / "key.pem").write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        return cls(folder / "cert.pem", folder / "key.pem")


class Login(http.server.BaseHTTPRequestHandler):
    """The shop's login: a request with its cookie may pass."""

    def do_GET(self) -> None:
        self.send_response(200 if "shop=yes" in self.headers.get("Cookie", "") else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving_login() -> Iterator[int]:
    """Serve the shop's login; gives its port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Login) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


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

    async def call(self) -> Caller:
        """Connect, to send any bytes."""
        caller = await Caller.connect(self.port, ssl=self.tls, server_hostname=NAME)
        caller.strict = False
        return caller


@contextmanager
def running_nginx(
    folder: Path,
    relays: Sequence[RunningRelay],
    certificate: Certificate,
    token: str,
    changes: Mapping[str, str] | None = None,
) -> Iterator[Proxy]:
    """Run nginx in front of two relays, as documented.

    Args:
        folder: Its files; its errors are in ``error.log``.
        relays: Two of them.
        certificate: For the shop's name.
        token: What nginx sends to the relays.
        changes: What else to replace in the documented configuration.
    """
    with needed():
        program = find_or_fetch("nginx", "nginx")
    port = free_port()
    (folder / "token.conf").write_text(f'proxy_set_header Authorization "Bearer {token}";\n')
    (folder / "token.conf").chmod(0o600)
    places = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    with serving_login() as login:
        own = {
            "127.0.0.1:3001": f"127.0.0.1:{relays[0].port}",
            "127.0.0.1:3002": f"127.0.0.1:{relays[1].port}",
            "127.0.0.1:3000": f"127.0.0.1:{login}",
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "/etc/ssl/shop.example.pem": certificate.file,
            "/etc/ssl/shop.example.key": certificate.key,
            "/etc/nginx/orderctl-token.conf": folder / "token.conf",
        }
        site = replaced(replaced(documented("nginx"), changes or {}), own)
        (folder / "nginx.conf").write_text(
            f"{'user root;' if os.geteuid() == 0 else ''}\ndaemon off; worker_processes 1; pid {folder}/pid;\n"
            f"error_log {folder}/error.log;\nevents {{}}\nhttp {{\naccess_log off;\n{places}{site}}}\n"
        )
        command = [str(program), "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
        proxy = Proxy(command, port, certificate.file, folder, {})
        try:
            yield proxy
        finally:
            proxy.close()


@contextmanager
def running_haproxy(
    folder: Path,
    relays: Sequence[RunningRelay],
    certificate: Certificate,
    token: str,
    changes: Mapping[str, str] | None = None,
) -> Iterator[Proxy]:
    """Run HAProxy in front of two relays, as documented; the arguments are those of :func:`running_nginx`."""
    with needed():
        program = find_or_fetch("haproxy", "haproxy")
    port = free_port()
    both = folder / "both.pem"
    both.write_bytes(b"".join(path.read_bytes() for path in certificate))
    own = {
        "bind :443": f"bind 127.0.0.1:{port}",
        "/etc/haproxy/shop.example.pem": both,
        "127.0.0.1:3001": f"127.0.0.1:{relays[0].port}",
        "127.0.0.1:3002": f"127.0.0.1:{relays[1].port}",
    }
    (folder / "haproxy.cfg").write_text(replaced(replaced(documented("haproxy"), changes or {}), own))
    command = [str(program), "-db", "-f", str(folder / "haproxy.cfg")]
    proxy = Proxy(command, port, certificate.file, folder, {"ORDERCTL_RELAY_TOKEN": token})
    try:
        yield proxy
    finally:
        proxy.close()
