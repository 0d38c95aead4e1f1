"""The files of docs/systemd: systemd reads them, they fit the program's limits, and docs/running.md installs them all."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest

from orderctl import settings
from orderctl.cli.commands.config import PROGRAM_GROUP, template
from orderctl.errors import ExitStatus
from tests.script import SCRIPT
from tests.servers.availability import needed
from tests.servers.programs import find

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "docs/systemd"
INSTALLED = "/opt/orderctl/bin/orderctl"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))


def unit(name: str) -> ConfigParser:
    parsed = ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str
    parsed.read(UNITS / name, encoding="utf-8")
    return parsed


def test_systemd_accepts_the_units(tmp_path: Path):
    with needed():
        analyze = find("systemd-analyze")
    for path in [*UNITS.glob("*.service"), *UNITS.glob("*.timer")]:
        (tmp_path / path.name).write_text(path.read_text().replace(INSTALLED, str(SCRIPT)))

    files = map(str, tmp_path.iterdir())
    done = subprocess.run(
        [analyze, "verify", "--man=no", *files], capture_output=True, text=True, check=False, timeout=60
    )

    assert (done.returncode, [line for line in done.stderr.splitlines() if str(tmp_path) in line]) == (0, [])


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_runs_a_command_of_orderctl_as_its_user_and_writes_to_the_state_folder_only(
    name: str, inside
):
    service = unit(name)["Service"]
    program, *arguments = shlex.split(service["ExecStart"])

    assert (program, service["User"]) == (INSTALLED, PROGRAM_GROUP)
    assert inside(*arguments, "--help").status == 0
    assert (service["ProtectSystem"], service["StateDirectory"], service["StateDirectoryMode"]) == (
        "strict",
        "orderctl",
        "0700",
    )
    assert service["NoNewPrivileges"] == "yes"


@pytest.mark.parametrize(
    ("name", "seconds"), [("orderctl-worker.service", 70), ("orderctl-relay.service", 10)]
)
def test_what_goes_on_is_started_again_unless_a_setting_is_wrong_and_has_time_to_end(name: str, seconds: int):
    service = unit(name)["Service"]

    assert service["Restart"] == "always"
    assert service["RestartPreventExitStatus"].split() == [
        str(int(status)) for status in (ExitStatus.USAGE, ExitStatus.CONFIGURATION)
    ]
    assert int(service["TimeoutStopSec"]) > seconds


def test_the_worker_drains_before_the_rest_is_killed():
    service = unit("orderctl-worker.service")["Service"]

    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) > settings.load({}).worker.drain_timeout_seconds + 10


def test_reconcile_may_find_that_another_process_reconciles():
    assert unit("orderctl-reconcile.service")["Service"]["SuccessExitStatus"] == str(
        int(ExitStatus.TRY_LATER)
    )


def test_systemd_makes_the_user_and_the_folders(tmp_path: Path):
    with needed():
        sysusers = find("systemd-sysusers")
    (tmp_path / "etc/sysusers.d").mkdir(parents=True)
    (tmp_path / "etc/sysusers.d/orderctl.conf").write_text((UNITS / "orderctl.sysusers").read_text())

    done = subprocess.run(
        [sysusers, "--dry-run", f"--root={tmp_path}", "orderctl.conf"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert "user 'orderctl'" in done.stderr
    lines = [
        line.split() for line in (UNITS / "orderctl.tmpfiles").read_text().splitlines() if line[:1] != "#"
    ]
    assert lines == [
        ["d", "/etc/orderctl", "0755", "root", "root"],
        ["d", "/var/lib/orderctl", "0700", PROGRAM_GROUP, PROGRAM_GROUP],
    ]


def test_the_page_installs_every_file_and_names_the_state_folder_in_the_file_of_config_init():
    page = (ROOT / "docs/running.md").read_text(encoding="utf-8")
    [old, new] = re.findall(r"sed -i 's\|(.*?)\|(.*?)\|' /etc/orderctl/config.toml", page)[0]
    document = tomllib.loads(re.sub(old, new, template(), flags=re.MULTILINE))

    assert document["state_dir"] == "/var/lib/orderctl"

    installed = {
        path
        for line in page.splitlines()
        if "sudo install " in line
        for word in shlex.split(line)
        if word.startswith("docs/")
        for path in ROOT.glob(word)
    }

    assert installed == {path for kind in ("systemd", "pm2") for path in (ROOT / "docs" / kind).iterdir()}
