"""Relays that do not answer, do not report themselves, or whose connections only grow, are named."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orderctl import __version__, broker, channels, relay_signs
from orderctl.doctor import relay_probe, relays
from orderctl.doctor.checks import Check, Verdict
from orderctl.doctor.relay_probe import Place
from orderctl.doctor.relays import Look, place_of
from orderctl.doctor.surroundings import Surroundings
from orderctl.errors import RedisUnavailable
from orderctl.health import causes, overview
from orderctl.relay_signs import RelaySign, Sample
from orderctl.settings import load
from tests.doctor.around import look, named, unwell
from tests.relay.conftest import SECRET, RunningRelay, StartRelay, start_relay  # noqa: F401 - a fixture
from tests.servers.process import free_port
from tests.servers.redis import RedisServer
from tests.waiting import eventually

HERE = relay_signs.this_host()
NOW = datetime.now(UTC)


def found(redis_url: str, port: int, **more: str) -> list[Check]:
    return look(
        relays.examine, ahead=relays.look, redis_url=redis_url, relay_port=str(port), patience=5, **more
    )


def wait_for_sign(url: str) -> RelaySign:
    with broker.brisk(url) as client:
        return eventually(lambda: relay_signs.find_all(client), "the sign of the relay")[0]


@contextmanager
def listening(answer: bytes | None) -> Iterator[int]:
    """Another program on a port: it gives each client one answer, or never one."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            kept = []
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                kept.append(client)
                if answer is not None:
                    with client:
                        client.recv(1000)
                        client.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_a_relay_answers_in_all_ways_and_its_end_is_seen(start_relay: StartRelay, redis_url: str) -> None:  # noqa: F811
    relay = start_relay(relay_token_secret=SECRET)
    wait_for_sign(redis_url)

    checks = found(redis_url, relay.port)

    assert unwell(checks) == {}
    assert "over HTTP, plain and as Socket.IO" in named(checks, "answers").text
    assert "0 connections, 0 subscriptions" in named(checks, "connections").text
    relay.close()  # killed: its sign stays

    dead = found(redis_url, relay.port)
    assert unwell(dead) == {"answers": Verdict.FAULT}
    assert f"reports itself, but nothing answers at 127.0.0.1:{relay.port}" in named(dead, "answers").text

    assert [check.name for check in dead] == ["answers"]  # nothing that is ok below it

    with broker.brisk(redis_url) as client:
        [sign] = relay_signs.find_all(client)
        client.delete(channels.relay_sign(sign.name))  # as it expires
        later = found(redis_url, relay.port)
        lost = [
            one
            for one in causes.find(overview.look(load({"redis.url": redis_url})))
            if one.name == "relay-lost"
        ]
        client.flushall()
    assert unwell(later) == {"announced": Verdict.FAULT}
    assert named(later, "announced").repair == "orderctl relay start"
    assert [one.command for one in lost] == ["orderctl relay start"]
    assert unwell(found(redis_url, relay.port)) == {"answers": Verdict.FAULT}  # the settings name a relay


def test_a_frozen_relay_and_one_without_redis_are_named(
    start_relay: StartRelay,  # noqa: F811
    redis_url: str,
    own_redis: Callable[..., RedisServer],
) -> None:
    server = own_redis()
    relay = start_relay(redis_url=server.url)
    wait_for_sign(server.url)

    unannounced = found(redis_url, relay.port)
    assert unwell(unannounced) == {"announced": Verdict.WARNING}
    assert "'~orderctl:relay:sign*' +zadd" in (named(unannounced, "announced").repair or "")

    server.close()
    eventually(lambda: relay.ask("/healthz").status == 503, "a relay that has noticed it")
    [answers, _] = found(redis_url, relay.port)
    assert answers.verdict is Verdict.FAULT
    assert "HTTP (/healthz): it is degraded: Redis does not answer" in answers.text

    relay.process.send_signal(signal.SIGSTOP)
    frozen = look(
        relays.examine, ahead=relays.look, redis_url=redis_url, relay_port=str(relay.port), patience=0.2
    )
    relay.process.send_signal(signal.SIGCONT)
    assert unwell(frozen) == {"answers": Verdict.FAULT}
    assert "no answer in time" in named(frozen, "answers").text


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"HTTP/1.1 404 Not Found\r\n\r\n", b"", b"\xff" * 99_999],
    ids=["ssh", "json", "404", "nothing", "junk"],
)  # fmt: skip
def test_another_program_on_the_port_is_named(redis_url: str, answer: bytes) -> None:
    with listening(answer) as port:
        [check] = found(redis_url, port)

    assert check.verdict is Verdict.FAULT
    assert "does not answer as a relay" in check.text
    assert check.repair == f"ss -ltnp '( sport = :{port} )'"


def test_without_a_relay_in_the_settings_none_is_missed(redis_url: str) -> None:
    place = Place("127.0.0.1", free_port())
    chosen = load({"redis.url": redis_url}, environ={})

    assert relays._none(place, chosen).verdict is Verdict.NOTE


SIGN = RelaySign(
    name=f"{HERE}.7.ab12",
    host=HERE,
    pid=7,
    address="127.0.0.1",
    port=3001,
    version=__version__,
    connections=120,
    subscriptions=40,
    secure=True,
    started=NOW - timedelta(hours=3),
    seen=NOW,
)


def grown(*numbers: int) -> tuple[Sample, ...]:
    """Return the numbers of the last hour, one for every ten minutes, of which the newest is ten minutes old."""
    return tuple(
        Sample(NOW - timedelta(minutes=10 * age), number)
        for age, number in zip(range(len(numbers), 0, -1), numbers, strict=True)
    )


OTHER = replace(SIGN, name="web2.7.ab12", host="web2")
#: The signs of relays, and which of the checks are not well.
SIGNS: dict[str, tuple[list[RelaySign], dict[str, Verdict]]] = {
    "leak": ([replace(SIGN, samples=grown(40, 50, 60, 80, 90, 110))], {"connections": Verdict.WARNING}),
    "falls": ([replace(SIGN, samples=grown(40, 50, 60, 80, 70, 110))], {}),
    "few": ([replace(SIGN, samples=grown(90, 95, 100, 100, 105, 110))], {}),
    "young": ([replace(SIGN, samples=grown(10, 20))], {}),
    "full": ([replace(SIGN, connections=9500)], {"connections": Verdict.WARNING}),
    "old": ([replace(SIGN, version="0.1")], {"version": Verdict.NOTE}),
    "clock": ([replace(SIGN, seen=NOW - timedelta(minutes=5))], {"clock-skew": Verdict.WARNING}),
    "tokens": ([SIGN, replace(SIGN, pid=8, secure=False)], {"tokens": Verdict.WARNING}),
    "loopback": ([OTHER], {"answers": Verdict.SKIPPED}),
    "far": ([replace(OTHER, address="192.0.2.1")], {"answers": Verdict.NOTE}),
}


@pytest.mark.parametrize("name", SIGNS)
def test_what_signs_say_is_looked_at(name: str) -> None:
    signs, expected = SIGNS[name]
    age = datetime.now(UTC) - NOW
    signs = [
        replace(
            sign,
            seen=sign.seen + age,
            samples=tuple(Sample(one.at + age, one.connections) for one in sign.samples),
        )
        for sign in signs
    ]
    well = {way: relays.Answer(well=True) for way in relays.Way}
    away = {way: relays.Answer(well=False, error="No route to host", connected=False) for way in relays.Way}
    answers = {Place("127.0.0.1", 3001): well, Place("192.0.2.1", 3001): away}

    checks = look(relays.examine, ahead=lambda _: Look(HERE, signs, answers=answers))

    assert unwell(checks) == expected
    if name == "leak":
        assert (
            "120 connections, 40 subscriptions; 40 connections an hour ago"
            in named(checks, "connections").text
        )


def test_where_a_relay_can_be_reached() -> None:
    everywhere = replace(SIGN, address="0.0.0.0")
    assert place_of(everywhere, HERE) == Place("127.0.0.1", 3001)
    assert place_of(replace(SIGN, address="::"), HERE) == Place("::1", 3001)
    assert place_of(replace(everywhere, host="web2"), HERE) == Place("web2", 3001)
    assert place_of(replace(OTHER, address="10.0.0.7"), HERE) == Place("10.0.0.7", 3001)
    assert place_of(OTHER, HERE) is None


def test_signs_that_cannot_be_read_end_nothing_else(redis_url: str) -> None:
    with closing(broker.brisk(redis_url)) as client:
        client.set(channels.RELAY_SIGNS, "of another program")
    with listening(b"") as port:
        checks = found(redis_url, port)

    assert unwell(checks) == {"announced": Verdict.SKIPPED, "answers": Verdict.FAULT}


@pytest.mark.parametrize("chosen", [{}, {"relay.port": "1"}])
def test_without_redis_it_is_not_said_that_no_relay_runs(chosen: dict[str, str]) -> None:
    place = Place("127.0.0.1", 1)
    nothing = dict.fromkeys(relay_probe.Way, relay_probe.Answer(well=False, error="refused", connected=False))
    sight = Look(HERE, unread=RedisUnavailable("no answer"), configured=place, answers={place: nothing})

    checks = list(relays.examine(Surroundings(load(chosen, environ={})), sight))

    assert unwell(checks) == {"announced": Verdict.SKIPPED, "answers": Verdict.SKIPPED}


@pytest.mark.parametrize("host", ["a..b", "a" * 64, ".b"])
def test_a_host_that_is_no_name_is_a_fault_of_the_relay_and_nothing_else(host: str):
    answers = relay_probe.ask(Place(host, 1), 1)

    assert {(one.well, one.connected, one.error) for one in answers.values()} == {
        (False, False, "it is not the name of a host")
    }
