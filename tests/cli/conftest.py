"""Fixtures for tests of the command line: the program as a process, and inside this process."""

import logging
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orderctl.cli.app import App
from orderctl.cli.main import run
from tests.script import SCRIPT
from tests.servers.strict import complaints
from tests.shop import Shop


@dataclass(frozen=True)
class Ended:
    """The result of a run of the program."""

    status: int
    out: str
    err: str


Program = Callable[..., Ended]


@pytest.fixture
def orderctl(tmp_path: Path) -> Program:
    """``orderctl(*arguments, input=None, env=None, **popen)`` runs the program and waits for its end."""

    def call(
        *arguments: str, input: str | None = None, env: dict[str, str] | None = None, **more: Any
    ) -> Ended:
        done = subprocess.run(
            [str(SCRIPT), *arguments],
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            env=os.environ | (env or {}),
            timeout=280,
            check=False,
            cwd=tmp_path,
            **more,
        )
        assert complaints(done.stderr) == []
        return Ended(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def inside(capsys: pytest.CaptureFixture[str]) -> Program:
    """``inside(*arguments, app=None)`` runs the program in this process, without starting Python again."""

    def call(*arguments: str, app: App | None = None) -> Ended:
        capsys.readouterr()
        log, level = list(logging.root.handlers), logging.root.level
        try:
            status = run(arguments, app)
        finally:  # `worker start` and similar commands configure logging to the stderr of this call
            logging.root.handlers[:], logging.root.level = log, level
        out, err = capsys.readouterr()
        return Ended(status, out, err)

    return call


@pytest.fixture
def shop(shop: Shop, migrated_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop with an empty Redis, and settings that name both stores."""
    monkeypatch.setenv("ORDERCTL_DATABASE_URL", migrated_url)
    monkeypatch.setenv("ORDERCTL_REDIS_URL", redis_url)
    return shop
