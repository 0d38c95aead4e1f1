"""The file docs/pm2/ecosystem.config.cjs: its syntax, its limits, and both programs under the real PM2."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orderctl import settings
from orderctl.errors import ExitStatus
from tests.faults.world import SIZE, World
from tests.script import SCRIPT
from tests.servers.availability import needed
from tests.servers.node import node_modules
from tests.servers.process import free_port
from tests.servers.programs import find
from tests.waiting import SOON, eventually

DOCUMENTED = (Path(__file__).parents[2] / "docs/pm2/ecosystem.config.cjs").read_text(encoding="utf-8")

Pm2 = Callable[..., Any]


def test_the_file_is_javascript_and_its_limits_fit(tmp_path: Path) -> None:
    file = tmp_path / "ecosystem.config.cjs"
    file.write_text(DOCUMENTED)
    show = ["-p", "JSON.stringify(require(process.argv[1]))", str(file)]
    with needed():
        node = find("node")

    shown = subprocess.run([node, *show], capture_output=True, text=True, check=True, timeout=SOON).stdout

    worker, relay = json.loads(shown)["apps"]
    drain = settings.load({}).worker.drain_timeout_seconds
    assert worker["kill_timeout"] > 1000 * (drain + 10)
    assert relay["kill_timeout"] > 10_000
    for app in (worker, relay):
        assert (app["interpreter"], app["treekill"], app["autorestart"]) == ("none", False, True)
        assert app["stop_exit_codes"] == [ExitStatus.USAGE, ExitStatus.CONFIGURATION]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def pm2(world: World, port: int) -> Iterator[Pm2]:
    """``pm2("list")`` runs PM2, whose folder and file are the test's own, and returns its apps by name."""
    with needed():
        program, node = node_modules("pm2@7") / "pm2/bin/pm2", find("node")
    text = DOCUMENTED
    for old, new in {
        "/opt/orderctl/bin/orderctl": SCRIPT,
        "/var/lib/orderctl": world.state,
        "/var/log/orderctl": world.state,
        "'3001'": f"'{port}'",
    }.items():
        assert old in text
        text = text.replace(old, str(new))
    (world.state / "ecosystem.config.cjs").write_text(text)
    # By default PM2 asks a server of its makers for a newer version.
    home = {"PM2_HOME": str(world.state / "pm2"), "PM2_DISABLE_VERSION_CHECK": "true"}

    def run(*arguments: str) -> dict[str, Any]:
        command = [node, str(program), *arguments]
        done = subprocess.run(
            command,
            env=world.environment | home,
            cwd=world.state,
            capture_output=True,
            text=True,
            timeout=SOON,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return {app["name"]: app for app in json.loads(done.stdout)} if arguments == ("jlist",) else {}

    try:
        yield run
    finally:
        daemon = Path("/proc", (world.state / "pm2/pm2.pid").read_text(), "cmdline")
        run("kill")
        eventually(lambda: not daemon.exists() or not daemon.read_bytes(), "the end of PM2")


def state(pm2: Pm2, name: str) -> dict[str, Any]:
    app = pm2("jlist")[name]
    return app["pm2_env"] | {"pid": app["pid"]}


@pytest.mark.databases("sqlite")
def test_pm2_drains_and_restarts(world: World, pm2: Pm2, port: int) -> None:
    course = world.courses.add("/a.bin", SIZE)
    world.courses.hold("/a.bin", SIZE // 2)
    [task_id] = world.shop.paid("DH1", [course])
    probe = [SCRIPT, "relay", "probe", "--port", str(port)]

    # A running download may finish.
    pm2("start", "ecosystem.config.cjs")
    eventually(lambda: world.shop.task(task_id).status == "downloading", "the download")
    eventually(lambda: subprocess.run(probe, check=False, capture_output=True).returncode == 0, "the relay")
    stopping = threading.Thread(target=pm2, args=["stop", "orderctl-worker"])
    stopping.start()
    log = world.state / "worker.log"
    eventually(lambda: "drain" in log.read_text(), "the supervisor's answer to the signal")
    world.courses.release("/a.bin")
    stopping.join(SOON)
    assert (world.shop.task(task_id).status, world.shop.task(task_id).attempt) == ("completed", 1)
    assert [state(pm2, name)["status"] for name in ("orderctl-worker", "orderctl-relay")] == [
        "stopped",
        "online",
    ]

    # A wrong setting is not tried again, a relay that was killed is.
    world.more["ORDERCTL_WORKER_HANDLER"] = "none-of-this-name"
    pm2("restart", "orderctl-worker", "--update-env")
    eventually(lambda: state(pm2, "orderctl-worker").get("exit_code") == ExitStatus.CONFIGURATION, "its end")
    tries, pid = state(pm2, "orderctl-worker")["restart_time"], state(pm2, "orderctl-relay")["pid"]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: state(pm2, "orderctl-relay")["pid"] not in {0, pid}, "another relay")
    # It would have been started again before the relay.
    assert (state(pm2, "orderctl-worker")["pid"], state(pm2, "orderctl-worker")["restart_time"]) == (0, tries)
