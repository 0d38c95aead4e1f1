"""What a refusal at connecting means, for all clients and the relay: a setting to repair, and never an outage."""

import asyncio
import logging
import threading

import pytest
import redis

from orderctl import broker
from orderctl.errors import Misconfigured, RedisUnavailable
from orderctl.relay.feed import Feed
from tests.waiting import SOON, eventually


class Nobody:
    """A listener that is never called."""

    def publish(self, _channel, _payload):
        raise AssertionError

    def flush(self):
        pass


def by_feed(url):
    """Connect as the relay does."""

    async def run():
        async def went_up():
            pass

        feed = Feed(url, Nobody(), went_up=went_up, went_down=lambda _why: None)
        running = asyncio.ensure_future(feed.run())
        up = asyncio.ensure_future(feed.wait_up(SOON))
        await asyncio.wait([running, up], return_when=asyncio.FIRST_COMPLETED)
        for task in (running, up):
            if task.done():
                task.result()
            task.cancel()

    asyncio.run(run())


def by(make):
    """Connect as one of the clients does."""

    def connect(url):
        with make(url) as client:
            broker.ping(client)

    return connect


#: The patient client connects like the brisk one.
EVERYBODY = [by(broker.brisk), by_feed]


def variants(server):
    """Return URLs that are refused, each with what is said about it."""
    plain, tls = f"127.0.0.1:{server.port}", f"127.0.0.1:{server.tls_port}"
    certificate = server.tls_url.partition("?")[2]
    return [
        (f"redis://{tls}", "speaks TLS only"),
        (f"rediss://{plain}?ssl_cert_reqs=none", "does not speak TLS"),
        (f"rediss://{tls}", r"certificate of .* is not accepted: self-signed certificate"),
        (f"rediss://0.0.0.0:{server.tls_port}?{certificate}", "not accepted: IP address mismatch"),
        (f"rediss://{tls}?ssl_ca_certs=/none", "ssl_ca_certs: cannot use /none"),
        (f"rediss://{tls}?ssl_cert_reqs=none&ssl_min_version=1.3&ssl_ciphers=nonsense", "ssl_ciphers"),
        (f"redis://:wrong@{plain}", "denies access"),
        (f"redis://nobody@{plain}", "denies access: WRONGPASS"),
        (f"redis://{plain}/99", "no database with this number"),
    ]


def test_each_client_says_what_is_wrong_with_the_url(tls_redis):
    for url, said in variants(tls_redis):
        for connect in EVERYBODY:
            with pytest.raises(Misconfigured, match=said):
                connect(url)


def test_each_client_connects_where_the_url_is_right(tls_redis):
    plain, tls = f"127.0.0.1:{tls_redis.port}", f"127.0.0.1:{tls_redis.tls_port}"
    certificate = tls_redis.tls_url.partition("?")[2]
    with redis.Redis(port=tls_redis.port) as admin:
        admin.execute_command("ACL", "SETUSER", "free", "on", "nopass", "+@all", "~*", "&*")
    right = [
        f"valkeys://{tls}/0?{certificate}",
        f"rediss://{tls}?ssl_cert_reqs=CERT_NONE",
        f"rediss://0.0.0.0:{tls_redis.tls_port}?{certificate}&ssl_check_hostname=false",
        f"VALKEY://{plain}/3",
        f"redis://free@{plain}",
        f"redis://free:anything@{plain}",
    ]
    for url in right:
        for connect in EVERYBODY:
            connect(url)


def test_a_client_certificate_that_the_server_wants_is_named(tls_redis):
    with redis.Redis(port=tls_redis.port) as admin:
        admin.config_set("tls-auth-clients", "yes")

    for connect in EVERYBODY:
        with pytest.raises(Misconfigured, match=r"TLS with .* fails: .*certificate required"):
            connect(tls_redis.tls_url)


def test_a_server_that_hangs_up_is_an_outage(fake_redis):
    server = fake_redis(lambda _: None)

    for connect in EVERYBODY[:1]:
        with pytest.raises(RedisUnavailable):
            connect(server.url)


def test_a_patient_client_waits_for_the_repair_of_a_refusal_that_comes_later(own_redis, caplog):
    server = own_redis()
    client = broker.patient(server.url)
    client.ping()
    with redis.Redis(port=server.port) as admin:
        admin.config_set("requirepass", "new")
        client.connection_pool.disconnect()
        caplog.set_level(logging.WARNING)
        found = []
        waiting = threading.Thread(target=lambda: found.append(client.incr("counter")))
        waiting.start()
        eventually(lambda: "denies access: NOAUTH" in caplog.text, "the refusal")
        admin.config_set("requirepass", "")
        waiting.join(SOON)

    assert found == [1]
    assert caplog.text.count("denies access") == 1
    assert "does not answer" not in caplog.text
