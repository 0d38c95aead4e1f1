"""The demo's shop, when its relay does not take a payment."""

import socket
import threading
from pathlib import Path

import pytest

from orderctl.demo import Shop
from tests.servers.process import free_port


@pytest.fixture
def shop(home: Path):
    folder = home / "shop"
    folder.mkdir()
    yield (shop := Shop(folder))
    shop.close()


def test_a_relay_that_has_ended_is_not_waited_for_and_its_error_is_known(shop: Shop):
    shop.start("relay", "start", "--no-such-option")

    with pytest.raises(ConnectionRefusedError):
        shop.post(free_port(), {"code": "DEMO-1"})

    assert shop.last_words("relay").startswith("orderctl: no such option '--no-such-option'; hint: ")


def test_an_answer_of_another_program_on_the_port_is_an_error(shop: Shop):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with server.accept()[0] as peer:
                peer.recv(65536)
                peer.sendall(b"220 mail.example ESMTP\r\n")

        threading.Thread(target=answer).start()

        with pytest.raises(ConnectionError, match="not valid HTTP"):
            shop.post(server.getsockname()[1], {"code": "DEMO-1"})
