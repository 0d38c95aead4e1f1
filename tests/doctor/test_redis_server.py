"""What is wrong with a Redis server is found, named and repaired by what can be pasted."""

import shlex
from collections.abc import Callable, Iterator

import pytest
import redis

from orderctl.doctor import redis_disk, redis_repairs, redis_server
from orderctl.doctor.checks import Check, Verdict
from orderctl.doctor.redis_server import examine, examine_clock, examine_rights
from orderctl.doctor.surroundings import Opened, Surroundings
from orderctl.errors import RedisUnavailable
from orderctl.settings import load
from tests.doctor.around import look, named, unwell
from tests.doctor.conftest import Examined
from tests.servers.redis import RedisServer, fill_disk
from tests.test_rights import rules

NOTE, WARNING, FAULT, SKIPPED = Verdict.NOTE, Verdict.WARNING, Verdict.FAULT, Verdict.SKIPPED


@pytest.fixture
def admin(redis_server: RedisServer) -> Iterator[redis.Redis]:
    redis_server.flush()
    names = ("maxmemory", "maxmemory-policy", "appendonly", "save", "maxclients", "min-replicas-to-write")
    with redis.Redis(port=redis_server.port, decode_responses=True) as client:
        before = client.config_get(*names)
        yield client
        for name in names:
            client.config_set(name, before[name])


def paste(client: redis.Redis, check: Check) -> None:
    """Carry out what a check says."""
    assert check.repair is not None
    words = shlex.split(check.repair)
    assert words[:2] == ["redis-cli", "-p"], check.repair
    client.execute_command(*words[3:])


#: What is planted, the check that finds it, its verdict, and what its text has.
FAULTS: dict[str, tuple[dict[str, object], str, Verdict, str]] = {
    "queue": (
        {"maxmemory": "1gb", "maxmemory-policy": "allkeys-lru"},
        "eviction",
        FAULT,
        "deletes the queue",
    ),
    "signs": (
        {"maxmemory": "1gb", "maxmemory-policy": "volatile-ttl"},
        "eviction",
        WARNING,
        "signs of workers",
    ),
    "policy": ({"maxmemory": 0, "maxmemory-policy": "allkeys-lru"}, "eviction", NOTE, "without effect"),
    "full": ({"maxmemory": 1}, "memory", FAULT, "refuses all writes"),
    "forgets": ({"save": "", "appendonly": "no"}, "persistence", NOTE, "forgets everything"),
    "clients": ({"maxclients": 2}, "clients", WARNING, "refuses connections"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_of_the_configuration_is_found_and_repaired(
    admin: redis.Redis, redis_server: RedisServer, name: str
) -> None:
    planted, check, verdict, text = FAULTS[name]
    admin.config_set("save", "3600 1")  # well but for what is planted
    for option, value in planted.items():
        admin.config_set(option, value)

    found = look(examine, redis_url=redis_server.url)

    assert unwell(found) == {check: verdict}
    assert text in named(found, check).text
    paste(admin, named(found, check))
    assert unwell(look(examine, redis_url=redis_server.url)) == {}


def test_a_nearly_full_server_is_named_before_it_is_full(
    admin: redis.Redis, redis_server: RedisServer
) -> None:
    admin.config_set("save", "3600 1")
    admin.set("big", "x" * 10_000_000)
    admin.config_set("maxmemory", int(admin.info("memory")["used_memory"] * 1.05))

    assert unwell(look(examine, redis_url=redis_server.url)) == {"memory": WARNING}


def test_a_replica_and_a_failed_save_are_named(
    own_redis: Callable[..., RedisServer], redis_server: RedisServer
) -> None:
    server = own_redis()
    with redis.Redis(port=server.port) as admin:
        admin.config_set("stop-writes-on-bgsave-error", "no")
        fill_disk(server)
        assert unwell(look(examine, redis_url=server.url)) == {"saving": WARNING}
        admin.execute_command("ACL", "SETUSER", "reader", "on", ">pass", "+@read", "+@connection", "+info")
        reader = server.url.replace("redis://", "redis://reader:pass@")
        assert unwell(look(examine, redis_url=reader)) == {"saving": WARNING, "persistence": SKIPPED}

        admin.replicaof("127.0.0.1", redis_server.port)
        role = named(look(examine, redis_url=server.url), "role")

    assert role.verdict is FAULT
    assert f"a replica of 127.0.0.1 port {redis_server.port}" in role.text


def test_a_server_that_refuses_all_writes_says_how_it_is_repaired(
    own_redis: Callable[..., RedisServer], doctor: Callable[..., Examined], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = own_redis()
    fill_disk(server)
    monkeypatch.setenv("ORDERCTL_REDIS_URL", server.url)

    found = doctor("--only", "redis")

    assert found.status == 69
    [check] = found.of("saving")
    assert check["repair"] == f"redis-cli -p {server.port} BGSAVE"
    assert str(server.folder) in check["explanation"]


def test_writes_that_are_refused_for_another_reason_are_a_fault(
    admin: redis.Redis,
    redis_server: RedisServer,
    doctor: Callable[..., Examined],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ORDERCTL_REDIS_URL", redis_server.url)
    admin.config_set("min-replicas-to-write", 1)

    found = doctor("--only", "redis")

    [check] = found.of("writable")
    assert (found.status, check["verdict"]) == (1, "fault")
    assert "NOREPLICAS" in check["text"]
    assert "min-replicas-to-write" in check["explanation"]

    admin.config_set("maxmemory", 1)  # is named by a check that says more
    assert not doctor("--only", "redis").of("writable")


@pytest.mark.parametrize(
    ("answer", "repair"),
    [
        ("MISCONF Errors writing to the AOF file: No space left on device", "BGREWRITEAOF"),
        ("MISCONF Redis is configured to save RDB snapshots", "BGSAVE"),
    ],
)
def test_a_disk_that_refuses_writes_is_repaired_by_the_file_that_failed(
    redis_url: str, answer: str, repair: str
) -> None:
    fault = RedisUnavailable(answer)
    fault.__cause__ = redis.ResponseError(answer)
    around = Surroundings(load({"redis.url": redis_url}, environ={}), redis=Opened(fault=fault))

    [check] = redis_disk.examine_refusal(around)

    assert check.verdict is FAULT
    assert (check.repair or "").endswith(repair)


@pytest.mark.parametrize("seconds", [0, 60, -60])
def test_the_clocks_are_compared(redis_url: str, monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    now = redis_server.time.time
    monkeypatch.setattr(redis_server.time, "time", lambda: now() + seconds)

    [check] = look(examine_clock, redis_url=redis_url)

    assert check.verdict is (WARNING if seconds else Verdict.WELL)
    assert check.value == pytest.approx(seconds, abs=1)


def test_missing_rights_are_named_with_the_command_that_grants_them(
    own_redis: Callable[..., RedisServer],
) -> None:
    server = own_redis()
    url = f"redis://orderctl:pass@127.0.0.1:{server.port}/0"
    with redis.Redis(port=server.port) as admin:
        admin.execute_command("ACL", "SETUSER", "orderctl", *rules("orderctl"))
        assert unwell(look(examine_rights, redis_url=url)) == {}
        # What it may not ask for is not missed, and not called well.
        [unknown] = [one for one in look(examine, redis_url=url) if one.verdict is not Verdict.WELL]
        assert (unknown.name, unknown.verdict) == ("persistence", SKIPPED)
        paste(admin, unknown)
        assert unwell(look(examine, redis_url=url)) == {"persistence": NOTE}

        admin.execute_command("ACL", "SETUSER", "orderctl", "-blmove", "-zadd")
        found = look(examine_rights, redis_url=url)
        assert unwell(found) == {"rights-work": FAULT, "rights-sign": WARNING}
        for check in found:
            if check.repair:
                paste(admin, check)
        assert unwell(look(examine_rights, redis_url=url)) == {}


def test_an_account_that_only_reads_says_whose_rights_are_not_known(
    own_redis: Callable[..., RedisServer],
) -> None:
    server = own_redis()
    may = "~* &* +@read +@connection +subscribe +psubscribe +unsubscribe +punsubscribe +info +multi +discard"
    with redis.Redis(port=server.port) as admin:
        admin.execute_command("ACL", "SETUSER", "reader", "on", ">pass", *may.split())

    found = look(examine_rights, redis_url=server.url.replace("redis://", "redis://reader:pass@"))

    notes = [check.text for check in found if check.verdict is NOTE]
    assert len(notes) == 3
    assert [("workers" in text, "the relay" in text) for text in notes] == [
        (True, False),
        (False, True),
        (False, True),
    ]


@pytest.mark.parametrize(
    ("url", "command"),
    [
        ("redis://localhost/0", "redis-cli PING"),
        ("redis://u:p@localhost:7000/0", "redis-cli -p 7000 PING"),
        ("rediss://cache.example/0", "redis-cli -h cache.example --tls PING"),
        ("unix:///run/my%20redis.sock", "redis-cli -s '/run/my redis.sock' PING"),
    ],
)
def test_commands_name_the_server_and_no_password(url: str, command: str) -> None:
    assert redis_repairs.command(load({"redis.url": url}, environ={}), "PING") == command


def test_a_server_that_anyone_can_reach_is_named() -> None:
    open_ = load({"redis.url": "redis://cache.example/0"}, environ={})
    kept = load({"redis.url": "redis://:long-password@cache.example/0"}, environ={})
    assert [check.name for check in redis_server._open_to_all(open_)] == ["password"]
    assert list(redis_server._open_to_all(kept)) == []
