"""The three Redis clients: how long each waits, and that none sends a command twice."""

import threading

import pytest
import redis

from orderctl import broker, publications, settings
from orderctl.channels import order_status
from orderctl.errors import Misconfigured, RedisUnavailable
from tests.servers.redis import fill_disk, unhurried
from tests.waiting import SOON, eventually

NOBODY = "redis://127.0.0.1:1/0"
CLIENTS = pytest.mark.parametrize("make", [broker.patient, broker.brisk, broker.hasty])


def password(server, text="open sesame"):
    with redis.Redis(port=server.port) as client:
        client.config_set("requirepass", text)
    return f"redis://:{{}}@127.0.0.1:{server.port}/0".format


@CLIENTS
def test_a_client_works(make, redis_url):
    client = unhurried(make(redis_url))

    broker.ping(client)

    assert client.incr("counter") == 1


@CLIENTS
def test_a_client_works_over_tls(make, tls_redis):
    """The server sends session tickets after the handshake, unasked; they are not an answer left unread."""
    client = unhurried(make(tls_redis.tls_url))

    for number in range(1, 21):
        assert client.incr("counter") == number
        client.connection_pool.disconnect()


@CLIENTS
def test_a_command_is_not_sent_again_when_the_connection_breaks(make, fake_redis):
    def answer(told):
        if b"INCR" in told:
            return None
        return b"$17\r\ncluster_enabled:0\r\n" if b"INFO" in told else b"+OK\r\n"

    server = fake_redis(answer)
    client = unhurried(make(server.url))

    with pytest.raises(RedisUnavailable), broker.translating():
        client.incr("counter")

    assert sum(told.count(b"INCR") for told in server.heard) == 1


@CLIENTS
def test_a_command_is_not_sent_again_when_the_server_hangs(make, own_redis):
    server = own_redis()
    client = unhurried(make(server.url))
    client.ping()
    server.pause()
    (connection,) = client.connection_pool._available_connections
    connection._get_socket().settimeout(0.2)

    with pytest.raises(RedisUnavailable), broker.translating():
        client.incr("counter")

    server.resume()
    with redis.Redis(port=server.port) as other:
        eventually(lambda: other.get("counter") == b"1", "the one command that was sent")


@pytest.mark.parametrize("make", [broker.brisk, broker.hasty])
def test_no_client_listens(make):
    with pytest.raises(RedisUnavailable, match="refused"):
        broker.ping(make(NOBODY))


@pytest.mark.parametrize("make", [broker.brisk, broker.hasty])
def test_a_hung_server_is_given_up(make, own_redis):
    server = own_redis()
    server.pause()

    with pytest.raises(RedisUnavailable, match="Timeout"):
        broker.ping(make(server.url))


def test_the_patient_client_waits_for_the_server(own_redis, caplog):
    server = own_redis()
    server.kill()
    client, found = broker.patient(server.url), []
    waiting = threading.Thread(target=lambda: found.append(client.incr("counter")))
    waiting.start()
    eventually(lambda: "trying again" in caplog.text, "the first failure")

    server.start()
    waiting.join(SOON)

    assert found == [1]
    assert "Redis answers again" in caplog.text


def test_the_patient_client_outlives_a_restart(own_redis):
    server = own_redis(persistent=True)
    client = broker.patient(server.url)
    client.incr("counter")

    server.restart()

    assert client.incr("counter") == 2


def test_a_greeting_does_not_hang_as_long_as_rq_lets_a_command(own_redis):
    server = own_redis()
    server.pause()
    client = broker.brisk(server.url)
    client.connection_pool.connection_kwargs["socket_timeout"] = 400  # RQ does the same

    with pytest.raises(RedisUnavailable, match="Timeout"):
        broker.ping(client)


def test_after_the_greeting_a_command_has_its_own_time(redis_url):
    client = broker.patient(redis_url)
    client.connection_pool.connection_kwargs["socket_timeout"] = 400
    client.ping()

    (connection,) = client.connection_pool._available_connections

    assert connection._get_socket().gettimeout() == 400


@CLIENTS
@pytest.mark.parametrize("said", ["wrong", ""])
def test_a_wrong_password_is_a_wrong_setting(make, said, own_redis):
    url = password(own_redis())(said)

    with pytest.raises(Misconfigured, match="denies access"):
        broker.ping(unhurried(make(url)))


@CLIENTS
def test_the_right_password_is_used(make, own_redis):
    broker.ping(unhurried(make(password(own_redis())("open%20sesame"))))


def test_a_password_that_the_server_does_not_want_is_a_wrong_setting(redis_server):
    with pytest.raises(Misconfigured):
        broker.ping(broker.brisk(f"redis://:secret@127.0.0.1:{redis_server.port}/0"))


def test_what_a_user_may_not_do_is_a_wrong_setting(own_redis):
    server = own_redis()
    with redis.Redis(port=server.port) as admin:
        admin.execute_command("ACL", "SETUSER", "reader", "on", ">pass", "~*", "&*", "+@read", "+client")
    client = broker.brisk(f"redis://reader:pass@127.0.0.1:{server.port}/0")

    with pytest.raises(Misconfigured, match="NOPERM"), broker.translating():
        client.incr("counter")


@CLIENTS
def test_a_cluster_is_refused(make, cluster):
    with pytest.raises(Misconfigured, match="Redis Cluster"):
        publications.publish(unhurried(make(cluster.url)), order_status(1), {})


@pytest.mark.parametrize("make", [broker.patient, broker.brisk])
def test_a_cluster_is_refused_before_anything_is_done_with_it(make, cluster):
    with pytest.raises(Misconfigured, match="Redis Cluster"):
        broker.ping(make(cluster.url))


def test_something_else_than_redis_is_a_wrong_setting(fake_redis):
    server = fake_redis(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with pytest.raises(Misconfigured, match="not Redis"):
        broker.ping(broker.brisk(server.url))


def test_a_database_that_is_not_there_is_a_wrong_setting(redis_server):
    with pytest.raises(Misconfigured, match="database with this number"):
        broker.ping(broker.brisk(f"redis://127.0.0.1:{redis_server.port}/99"))


def test_a_replica_takes_no_changes(own_redis):
    server = own_redis()
    with redis.Redis(port=server.port) as admin:
        admin.replicaof("127.0.0.1", 1)

    with pytest.raises(RedisUnavailable, match="refuses to write"), broker.translating():
        broker.brisk(server.url).set("counter", 1)


@pytest.mark.parametrize("transaction", [True, False])
@pytest.mark.parametrize("cause", ["full disk", "no replica", "replica", "full memory"])
def test_what_passes_is_an_outage_in_a_pipeline_too(cause, transaction, own_redis):
    server = own_redis()
    with redis.Redis(port=server.port) as admin:
        if cause == "full disk":
            fill_disk(server)
        elif cause == "no replica":
            admin.config_set("min-replicas-to-write", 1)
        elif cause == "replica":
            admin.replicaof("127.0.0.1", 1)
        else:
            admin.config_set("maxmemory", 1)
    pipeline = broker.brisk(server.url).pipeline(transaction=transaction)
    pipeline.set("counter", 1)

    with (
        pytest.raises(RedisUnavailable, match=r"refuses to write: [A-Z]{3,}") as caught,
        broker.translating(),
    ):
        pipeline.execute()
    assert "pipeline" not in str(caught.value)
    assert broker.is_full_disk(caught.value.__cause__) is (cause == "full disk")


def test_the_key_that_is_denied_in_a_pipeline_is_named(own_redis):
    server = own_redis()
    with redis.Redis(port=server.port) as admin:
        admin.execute_command("ACL", "SETUSER", "writer", "on", ">pass", "~other", "+@all")
    pipeline = broker.brisk(f"redis://writer:pass@127.0.0.1:{server.port}/0").pipeline()
    pipeline.set("counter", "secret")

    with pytest.raises(Misconfigured, match=r"\(SET counter\)$"), broker.translating():
        pipeline.execute()


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("redis://localhost:6379/0?colour=blue", "colour"),
        ("redis://localhost?db=zero", "db"),
        ("http://localhost", "needs redis://"),
        (f"redis://{'a' * 70}.example", "host name"),
    ],
)
def test_an_impossible_url_is_a_wrong_setting(url, match):
    with pytest.raises(Misconfigured, match=match):
        broker.brisk(url)


def test_timeouts_in_a_url_are_ours_to_set(redis_url):
    url = f"{redis_url}?socket_timeout=600&retry_on_timeout=1&health_check_interval=9"

    used = broker.hasty(url).connection_pool.connection_kwargs

    assert used["socket_timeout"] == 0.2
    assert not used["retry"].get_retries()
    assert not {"retry_on_timeout", "health_check_interval"} & set(used)


def test_a_unix_socket_works(redis_server, redis_url):
    broker.ping(unhurried(broker.hasty(redis_server.socket_url)))


def test_the_url_of_the_settings_goes_over_the_embedded_server(home):
    loaded = settings.load({"redis.url": NOBODY, "state_dir": str(home / "st")})

    assert broker.url(loaded) == NOBODY
    assert not (home / "st").exists()


def test_without_a_url_the_embedded_server_is_started(state_dir):
    loaded = settings.load({"state_dir": str(state_dir)})

    broker.ping(broker.brisk(broker.url(loaded)))


def test_no_password_in_an_error(own_redis):
    url = password(own_redis())("Geheimnis")

    with pytest.raises(Misconfigured) as caught:
        broker.ping(broker.brisk(url))

    assert "Geheimnis" not in f"{caught.value} {caught.value.hint}"


def test_pauses_between_attempts_grow_and_stay_short():
    assert broker.backoff(0) <= 0.05
    assert all(0 < broker.backoff(attempt) <= 2 for attempt in (1, 5, 20, 10_000))
