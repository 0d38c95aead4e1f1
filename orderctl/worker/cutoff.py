"""A time limit for a whole conversation with a server: the timeout of a socket is for each read only."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def cutoff(peer: Any, seconds: float) -> Iterator[threading.Event]:
    """Cut a connection that is still busy after this time: a server may send byte by byte for ever.

    Args:
        peer: Has the connection's socket as ``sock``, or None before it is connected, as http.client and smtplib do.
        seconds: The limit.

    Returns:
        Is set when the connection is cut, which looks like its end to one who reads.

    Raises:
        TimeoutError: The connection was cut.
    """
    over = threading.Event()

    def cut() -> None:
        over.set()
        with contextlib.suppress(OSError):
            if (sock := getattr(peer, "sock", None)) is not None:
                sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.start()
    try:
        yield over
    except Exception as error:
        if over.is_set():
            raise TimeoutError(f"the answer was not complete within {seconds:g} s") from error
        raise
    finally:
        timer.cancel()
