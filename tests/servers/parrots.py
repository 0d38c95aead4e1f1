"""Servers that repeat to a client whatever secret it has sent: of courses and webhooks (HTTP), and of mails (SMTP)."""

import json
import socketserver
import threading
from base64 import b64decode
from collections.abc import Callable
from typing import Self


class Parrot:
    """A TCP server on loopback, in threads of the test process, that has one function for each connection.

    Attributes:
        heard: What clients have sent, without their logins.
        logins: The passwords that clients have sent.
    """

    def __init__(self, talk: Callable[["Parrot", socketserver.StreamRequestHandler], None]) -> None:
        self.heard: list[str] = []
        self.logins: list[str] = []
        parrot = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                talk(parrot, self)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def address(self) -> str:
        return "{}:{}".format(*self._server.server_address)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _read(parrot: Parrot, line: socketserver.StreamRequestHandler) -> tuple[str, str]:
    """Read a request; return its path, and the whole head in one line."""
    head = []
    while (text := line.rfile.readline().decode("latin-1").strip()) != "":
        head.append(text)
    length = next((int(text[15:]) for text in head if text.lower().startswith("content-length:")), 0)
    parrot.heard += [*head, line.rfile.read(length).decode()]
    return (head[0].split()[1] if head else ""), " ".join(head)


def course(secret: str) -> Callable[[Parrot, socketserver.StreamRequestHandler], None]:
    """A course server: ``/ok`` is a file whose name has a secret, ``/404`` that status; ``/moved`` and ``/manifest`` lead to URLs with a secret."""

    def talk(parrot: Parrot, line: socketserver.StreamRequestHandler) -> None:
        target, head = _read(parrot, line)
        path, here = target.partition("?")[0], f"http://u:{secret}@{parrot.address}"
        named = f'Content-Disposition: attachment; filename="ok.zip?sig={secret}"'
        files = [{"name": f"a.bin?sig={secret}", "url": f"{here}/404?sig={secret}"}]
        manifest = json.dumps({"title": f"{here}/title?sig={secret}", "files": files})
        status, more, body = {
            "/ok": ("200 OK", f"Content-Type: application/zip\r\n{named}", "content"),
            "/moved": ("302 Found", f"Location: {here}/404?sig={secret}", ""),
            "/loop": ("302 Found", f"Location: {here}/loop?sig={secret}", ""),
            "/manifest": ("200 OK", "Content-Type: application/json", manifest),
            "/html": ("200 OK", "Content-Type: text/html", f"<a href='{target}'>{head}</a>"),
        }.get(path, (path[1:], "X-Heard: " + head, head))
        if path == "/garbage":
            line.wfile.write(f"{head} {target}\r\n\r\n".encode("latin-1"))
            return
        text = f"HTTP/1.1 {status} {head}\r\n{more}\r\nX-Target: {target}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        line.wfile.write(text.encode("latin-1"))

    return talk


def webhook(parrot: Parrot, line: socketserver.StreamRequestHandler) -> None:
    """A webhook's receiver: it repeats the head instead of a status line, then accepts what comes later."""
    _, head = _read(parrot, line)
    first = sum(text.startswith("POST") for text in parrot.heard) < 2
    line.wfile.write((f"{head}\r\n\r\n" if first else "HTTP/1.1 204 OK\r\n\r\n").encode("latin-1"))


def mail(parrot: Parrot, line: socketserver.StreamRequestHandler) -> None:
    """A mail server: it repeats the password as it came and decoded, and refuses the first four logins."""
    say = line.wfile.write
    say(b"220 parrot\r\n")
    while (word := line.rfile.readline().decode().strip()) != "":
        if word.lower().startswith("ehlo"):
            say(b"250-parrot\r\n250 AUTH PLAIN\r\n")
        elif word.startswith("AUTH"):
            given = word.split()[-1]
            parrot.logins.append(given)
            said = f"{given} {b64decode(given).decode().split(chr(0))}"
            refused = len(parrot.logins) <= 4
            say((f"535 5.7.8 wrong: {said}\r\n" if refused else "235 fine\r\n").encode())
        elif word == "data":
            say(b"354 go on\r\n")
            while (text := line.rfile.readline().decode()) != ".\r\n":
                parrot.heard.append(text)
            say(b"250 OK\r\n")
        elif word == "quit":
            say(b"221 bye\r\n")
        else:
            say(b"250 OK\r\n")
