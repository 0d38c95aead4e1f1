"""The metrics by HTTP and in a file."""

import os
import socket
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from orderctl.errors import Misconfigured
from orderctl.worker import scraping
from tests.waiting import eventually


def get(url: str) -> tuple[int, str, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read()


def test_metrics_have_one_page_and_no_other(monkeypatch: pytest.MonkeyPatch):
    with scraping.listen("127.0.0.1", 0) as listener:
        scraping.serve(listener, lambda: b"up 1\n")
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        assert get(f"{url}/metrics") == (200, scraping.CONTENT_TYPE, b"up 1\n")
        assert get(f"{url}/metrics?x=1")[0] == 200
        assert get(f"{url}/other")[0] == 404


def test_clients_that_say_nothing_are_cut_and_others_are_answered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scraping, "_PATIENCE", 0.3)
    with scraping.listen("127.0.0.1", 0) as listener:
        scraping.serve(listener, lambda: b"up 1\n")
        place = listener.getsockname()
        silent = [socket.create_connection(place) for _ in range(scraping._MOST - 1)]
        slow = silent[0]
        slow.sendall(b"GET /metrics HTTP/1.0\r\nA: ")  # and never the end

        assert get(f"http://127.0.0.1:{place[1]}/metrics")[0] == 200
        slow.settimeout(5)
        assert slow.recv(100) == b""
        for one in silent:
            one.close()


def test_a_socket_that_is_closed_ends_it(monkeypatch: pytest.MonkeyPatch):
    """Before, it asked the closed socket again and again, and a core did nothing else."""
    before = threading.active_count()
    with scraping.listen("127.0.0.1", 0) as listener:
        scraping.serve(listener, lambda: b"up 1\n")
        assert threading.active_count() == before + 1
        assert get(f"http://127.0.0.1:{listener.getsockname()[1]}/metrics")[0] == 200

    eventually(lambda: threading.active_count() == before, "its thread ends")


def test_idle_clients_shut_out_nobody():
    """Before, 16 of them did for five seconds."""
    with scraping.listen("127.0.0.1", 0) as listener:
        scraping.serve(listener, lambda: b"up 1\n")
        place = listener.getsockname()
        silent = []
        for number in range(60):
            silent.append(socket.create_connection(place))
            if number % 2:
                silent[-1].sendall(b"GET /metr")
            if number % 20 == 19:
                assert get(f"http://127.0.0.1:{place[1]}/metrics")[0] == 200
        last = silent[-1]
        last.sendall(b"ics HTTP/1.0\r\n\r\n")  # one of the newest: it has its place still
        last.settimeout(5)
        assert b"200" in last.recv(100)
        for one in silent:
            one.close()


def test_a_complete_request_is_answered_before_an_idle_client_makes_room(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scraping, "_MOST", 2)
    began, go = threading.Event(), threading.Event()

    def text() -> bytes:
        began.set()
        go.wait(5)
        return b"up 1\n"

    with scraping.listen("127.0.0.1", 0) as listener:
        scraping.serve(listener, text)
        place = listener.getsockname()
        clients = [socket.create_connection(place) for _ in range(2)]
        clients[0].sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert began.wait(5)
        clients.append(socket.create_connection(place))
        clients[1].settimeout(5)

        assert clients[1].recv(100) == b""
        go.set()
        clients[0].settimeout(5)
        assert b"200" in clients[0].recv(100)
        for one in clients:
            one.close()


def test_a_port_that_is_taken_is_refused_with_the_setting():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            Misconfigured, match=f"cannot listen on 127.0.0.1 port {port}: Address already in use"
        ):
            scraping.listen("127.0.0.1", port)
    with pytest.raises(Misconfigured, match=r"cannot listen on 203\.0\.113\.1 port 9"):
        scraping.listen("203.0.113.1", 9)
    with pytest.raises(Misconfigured, match="it is not a name"):
        scraping.listen("a..b", 0)


def test_a_file_is_replaced_at_once_and_may_be_read_by_all(tmp_path: Path):
    file = tmp_path / "orderctl.prom"
    before = os.umask(0o077)
    scraping.write(file, b"up 0\n")
    os.umask(before)
    held = file.open("rb")
    scraping.write(file, b"up 1\n")

    assert (held.read(), file.read_bytes()) == (b"up 0\n", b"up 1\n")
    assert file.stat().st_mode & 0o777 == 0o644
    assert [one.name for one in tmp_path.iterdir()] == ["orderctl.prom"]
    held.close()


@pytest.mark.parametrize("name", ["orderctl.txt", "gone/orderctl.prom", "folder.prom", "/proc/x.prom"])
def test_a_file_that_node_exporter_would_not_read_is_refused(name: str, tmp_path: Path):
    (tmp_path / "folder.prom").mkdir()

    with pytest.raises(Misconfigured, match=r"worker\.metrics_file"):
        scraping.check_file(tmp_path / name)


def test_the_check_of_a_file_leaves_nothing(tmp_path: Path):
    (tmp_path / "orderctl.prom").write_text("old")

    scraping.check_file(tmp_path / "orderctl.prom")

    assert [one.read_text() for one in tmp_path.iterdir()] == ["old"]
