"""The main job on Redis 7 and Valkey, with and without TLS, by users who have the rights of docs/running.md only."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from urllib.request import urlopen

import pytest
import redis

from orderctl import broker, publications
from orderctl.messages import TaskProgress
from tests.faults.world import World
from tests.relay.conftest import RunningRelay
from tests.script import SCRIPT
from tests.servers.availability import needed
from tests.servers.redis import RedisServer, TlsRedis, find_redis, unhurried
from tests.servers.tls import TlsProxy
from tests.test_rights import USERS, rules
from tests.waiting import SOON

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture(params=["redis", "valkey"])
def place(request: pytest.FixtureRequest) -> Iterator[tuple[RedisServer, str]]:
    """A server with the users of the page, and the address and options of its TLS."""
    with needed():
        server = TlsRedis() if request.param == "redis" else RedisServer(find_redis())
    with ExitStack() as stack:
        server.start()
        stack.callback(server.close)
        if isinstance(server, TlsRedis):
            secure = server.tls_url.removeprefix("rediss://")
        else:
            proxy = stack.enter_context(TlsProxy(server.port, server.folder))
            secure = f"127.0.0.1:{proxy.port}/0?ssl_ca_certs={proxy.certificate}"
        with redis.Redis(port=server.port) as admin:
            for user in USERS:
                admin.execute_command("ACL", "SETUSER", user, *rules(user))
        yield server, secure


def url(place: tuple[RedisServer, str], user: str, *, tls: bool) -> str:
    if tls:
        return f"rediss://{user}:pass@{place[1]}"
    return place[0].url.replace("//", f"//{user}:pass@")


def test_the_rules_suffice_for_the_main_job(world: World, place: tuple[RedisServer, str]) -> None:
    shop = replace(world, redis_url=url(place, "orderctl", tls=True))
    plain = replace(world, redis_url=url(place, "orderctl", tls=False))
    relay = RunningRelay(url(place, "relay", tls=True), database_url=shop.database_url).start()
    shop.shop.add("DH1", [shop.course()])
    tail = start(shop, "tail", "order", "DH1")
    for caller, *words in (
        (plain, "orders", "pay", "DH1", "--amount", "300000"),
        (shop, "worker", "start", "--burst"),
        (plain, "worker", "list"),
    ):
        done = start(caller, *words)
        _, said = done.communicate(timeout=SOON)
        assert (done.returncode, "denie" in said) == (0, False), said
    out, said = tail.communicate(timeout=SOON)
    with broker.hasty(url(place, "emitter", tls=False)) as client:
        publications.publish_progress(unhurried(client), TaskProgress(1, 50, "a", None, 1), 1, {})
    with urlopen(f"http://127.0.0.1:{relay.port}/healthz") as answer:
        assert answer.status == 200

    assert shop.shop.order("DH1").order_status == "completed"
    assert (tail.returncode, "completed" in out) == (0, True), said
    relay.close()
    with redis.Redis(port=place[0].port, decode_responses=True) as admin:
        denied = {(entry["username"], entry["object"]) for entry in admin.acl_log()}
    assert denied == set()


def start(shop: World, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(SCRIPT), *words],
        env=shop.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
