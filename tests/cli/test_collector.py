"""The garbage collector while the program starts."""

import gc
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from orderctl.cli import collector
from orderctl.cli.app import App


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


@pytest.mark.parametrize("use", [lambda app: app.engine, lambda app: app.redis])
def test_it_works_again_as_soon_as_a_command_has_work(use: Callable[[App], object], redis_url: str, tmp_path):
    app = App(environ={"ORDERCTL_REDIS_URL": redis_url, "ORDERCTL_STATE_DIR": str(tmp_path)})
    collector.rest()
    assert not gc.isenabled()

    use(app)

    assert gc.isenabled()
    app.close()


def test_it_rests_while_the_program_starts():
    code = (
        "import atexit, gc, sys; atexit.register(lambda: print(gc.isenabled())); sys.argv[1:] = ['--version']"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; from orderctl.cli.main import main; main()"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout.splitlines()[-1] == "False"
