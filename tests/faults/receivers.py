"""The receivers of an order's end: a mail server, a webhook's receiver, a listener on the channels."""

import email
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import redis
from aiosmtpd.controller import Controller

from tests.servers.process import free_port
from tests.waiting import eventually


@dataclass(frozen=True)
class Letter:
    """A mail that was accepted; ``at`` is on the monotonic clock."""

    at: float
    recipient: str
    message: Message

    @property
    def id(self) -> str:
        return str(self.message["Message-ID"])


class PostOffice:
    """A mail server that accepts everything."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self._controller = Controller(self, hostname="127.0.0.1", port=free_port())

    def start(self) -> Self:
        self._controller.start()
        return self

    def close(self) -> None:
        self._controller.stop()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._controller.port}"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        message = email.message_from_bytes(envelope.content)
        self.letters.append(Letter(time.monotonic(), envelope.rcpt_tos[0], message))
        return "250 OK"

    def count(self) -> Counter[str]:
        """Return how often each mail arrived, by its Message-ID."""
        return Counter(letter.id for letter in self.letters)


class Receiver:
    """A webhook's receiver that accepts everything."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, dict[str, Any]]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.posts.append((self.headers["X-Orderctl-Delivery"], body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def start(self) -> Self:
        self._thread.start()
        return self

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    def count(self) -> Counter[str]:
        """Return how often each event was posted, by its delivery key."""
        return Counter(key for key, _ in self.posts)


class Listener:
    """Receives every publication of a shop, as a dashboard would; reconnects when Redis comes back."""

    def __init__(self, url: str, prefix: str = "") -> None:
        self._prefix = prefix
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self._client = redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5)
        self._over = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> Self:
        self._thread.start()
        assert self._ready.wait(120), "nothing can be heard"
        return self

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._listen()
            except redis.RedisError:
                self._over.wait(0.02)

    def _listen(self) -> None:
        with self._client.pubsub() as subscription:
            subscription.psubscribe(f"{self._prefix}order:*", f"{self._prefix}task:*")
            while not self._over.is_set():
                message = subscription.get_message(timeout=0.1)
                if message and message["type"] == "psubscribe":
                    self._ready.set()
                elif message:
                    name = message["channel"].decode().removeprefix(self._prefix)
                    self.heard.append((name, json.loads(message["data"])))

    def catch_up(self) -> None:
        """Hear everything that has been published so far."""
        last = f"task:last-{len(self.heard)}"
        self._client.publish(self._prefix + last, "{}")
        eventually(lambda: last in [channel for channel, _ in list(self.heard)], "the last publication")

    def completions(self) -> Counter[tuple[int, int]]:
        """Return how often each order's end was received, by order and the time at which it ended."""
        return Counter(
            (data["orderId"], data["timestamp"])
            for channel, data in self.heard
            if channel.endswith(":complete")
        )
