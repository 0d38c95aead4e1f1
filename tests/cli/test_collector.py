"""The garbage collector while the program starts."""

import gc
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
