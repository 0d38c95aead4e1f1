"""docs/extending.md: what the page shows is what orderctl does."""

import hmac
import inspect
import os
import re
import subprocess
import sys
import tomllib
from decimal import Decimal
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from orderctl import broker, documents, extensions, progress, publications, settings
from orderctl.channels import task_progress, task_status
from orderctl.errors import InvalidInput
from orderctl.payments.providers import registry
from orderctl.payments.providers.protocol import Delivery, Provider, Secrets
from tests.servers.redis import unhurried
from tests.shop import Shop
from tests.waiting import SOON

PAGE = (Path(__file__).parents[1] / "docs/extending.md").read_text(encoding="utf-8")


def shown(name: str) -> str:
    """Return the example below the comment that names it."""
    [example] = re.findall(
        rf"<!-- checked by tests/test_extending.py: {name} -->\n```\w*\n(.*?)```", PAGE, re.DOTALL
    )
    return example


CHANGED = re.search(
    r"^-(from progress_emitter import .*)\n\+(from orderctl.progress import .*)$", PAGE, re.MULTILINE
)


@pytest.mark.parametrize("name", progress.__all__[1:])
def test_the_parameters_have_the_names_that_are_shown(name: str) -> None:
    [shown_signature] = re.findall(rf"^- `{name}(\(.*?\))`", PAGE, re.MULTILINE)
    exec(f"def sample{shown_signature}: pass", names := {})
    real = [
        (one.name, one.kind, one.default)
        for one in inspect.signature(getattr(progress, name)).parameters.values()
        if one.name != "further"
    ]

    assert real == [
        (one.name, one.kind, one.default) for one in inspect.signature(names["sample"]).parameters.values()
    ]


def sample(source: str) -> Any:
    """Return the function of the sample worker."""
    names: dict[str, Any] = {}
    exec(source, names)
    return names["run"]


def break_off(name: str) -> None:
    if name == "2.mp4":
        raise TimeoutError("no answer")


def test_the_shops_worker_ran_with_its_own_module(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def noted(name: str) -> Any:
        return lambda *values, **named: calls.append((name, *values, *named.values()))

    stub = ModuleType("progress_emitter")
    for name in ("emit_progress", "emit_status_change", "report_failure", "determine_error_type"):
        setattr(stub, name, noted(name))
    monkeypatch.setitem(sys.modules, "progress_emitter", stub)
    worker = shown("worker")
    assert CHANGED[2] in worker

    sample(worker.replace(CHANGED[2], CHANGED[1]))(1, 9, ["1.mp4", "2.mp4"], break_off)

    assert [call[0] for call in calls] == [
        "emit_status_change",
        "emit_progress",
        "emit_progress",
        "emit_progress",
        "report_failure",
        "determine_error_type",
    ]


@pytest.mark.databases("sqlite")
def test_the_shops_worker_runs_with_one_line_changed(
    monkeypatch: pytest.MonkeyPatch, shop: Shop, migrated_url: str, redis_url: str
) -> None:
    monkeypatch.setenv("ORDERCTL_REDIS_URL", redis_url)
    monkeypatch.setenv("ORDERCTL_DATABASE_URL", migrated_url)
    monkeypatch.setattr(progress, "_default", progress._Default())
    monkeypatch.setattr(broker, "hasty", lambda url, hasty=broker.hasty: unhurried(hasty(url)))
    well, badly = shop.paid(courses=2)
    run = sample(shown("worker"))

    assert run(badly, 1, ["1.mp4", "2.mp4"], break_off) == "TIMEOUT"
    assert run(well, 1, ["1.mp4"], lambda _: None) is None

    found = publications.snapshots(
        broker.brisk(redis_url), [task_progress(badly), task_progress(well), task_status(well)]
    )
    assert [found[task_progress(task)]["percent"] for task in (badly, well)] == [0, 100]
    assert found[task_progress(badly)]["currentFile"] == "Failed: no answer"
    assert found[task_status(well)]["newStatus"] == "completed"
    assert shop.task(badly).status == "failed"
    assert shop.event(1, "download_failed").source == "python_worker"
    progress._default.find().close()


#: In the tests a warning of Python is an error, and pip has some.
PIP = 'pip() { env -u PYTHONWARNINGS pip "$@"; }\n'


@pytest.fixture
def workshop(home: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, with pip working without a network and without changing the tests' own environment."""
    folder, packages = home / "work", home / "packages"
    folder.mkdir()
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ORDERCTL_STATE_DIR": str(home / "state" / "shop"),
        "ORDERCTL_REDIS_URL": redis_url,
        "PIP_NO_DEPS": "1",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # this switches the isolation off
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_TARGET": str(packages),
        "PYTHONPATH": str(packages),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return folder


def test_a_handler_from_an_empty_folder_to_a_paid_order(workshop: Path) -> None:
    for name in ("shop-courses/pyproject.toml", "shop-courses/shop_courses.py"):
        (workshop / name).parent.mkdir(exist_ok=True)
        (workshop / name).write_text(shown(name))

    done = subprocess.run(
        ["bash", "-ec", PIP + shown("commands")],
        cwd=workshop,
        capture_output=True,
        text=True,
        check=False,
        timeout=SOON,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    delivered = Path(os.environ["ORDERCTL_STATE_DIR"], "downloads/DH1/1")
    assert [(file.name, file.read_text()) for file in delivered.iterdir()] == [
        ("lesson-1.py", "print('Hello')\n")
    ]
    assert "download_completed" in done.stdout


@pytest.fixture
def river_bank(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> Provider:
    """The example's provider, found by its entry point as if its package was installed."""
    (workshop / "shop_bank.py").write_text(shown("shop-bank/shop_bank.py"))
    monkeypatch.syspath_prepend(workshop)
    project = tomllib.loads(shown("shop-bank/pyproject.toml"))
    announced = [
        EntryPoint(name, value, group)
        for group, entries in project["project"]["entry-points"].items()
        for name, value in entries.items()
    ]
    monkeypatch.setattr(
        extensions, "entry_points", lambda group: [entry for entry in announced if entry.group == group]
    )
    [provider] = registry.load(["riverbank"]).values()
    return provider


def test_a_payment_provider_reads_what_its_bank_sends(river_bank: Provider) -> None:
    document = documents.parse(shown("movements"), "the payment")

    assert river_bank.recognises(document)
    found = [
        (one.provider_id, one.amount, one.currency, one.content, one.why_ignored)
        for one in river_bank.read(document)
    ]
    assert found == [
        ("81", Decimal("12.5"), "EUR", "order DH1", None),
        ("82", Decimal("9.9"), "EUR", "bank charges", "outgoing"),
        ("83", Decimal("0.01"), None, None, "a test"),
    ]
    with pytest.raises(InvalidInput, match=r"^a movement's number is missing$"):
        river_bank.read({"movements": {"cents": 5}})


def test_a_payment_provider_believes_its_bank_only(
    river_bank: Provider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    exports = dict(re.findall(r"^export (\w+)=(.*)$", shown("settings"), re.MULTILINE))
    (file := tmp_path / "riverbank.secret").write_text("a secret of the bank's")
    file.chmod(0o600)
    monkeypatch.setenv("ORDERCTL_PAYMENTS_PROVIDERS", exports["ORDERCTL_PAYMENTS_PROVIDERS"])
    monkeypatch.setenv("ORDERCTL_PAYMENTS_SECRET_FILE", str(file))
    assert "ORDERCTL_PAYMENTS_SECRET_FILE" in exports
    payments = settings.load().payments
    secrets = registry.secrets_of(*payments.providers, payments, only=True)
    digits = hmac.new(b"a secret of the bank's", b"1000.{}", "sha256").hexdigest()
    headers = {"x-river-signature": f"t=1000,v1={digits}"}

    assert river_bank.is_authentic(Delivery(headers, b"{}", 1000), secrets)
    assert not river_bank.is_authentic(Delivery(headers, b"{ }", 1000), secrets)
    assert not river_bank.is_authentic(Delivery(headers, b"{}", 2000), secrets)
    assert not river_bank.is_authentic(Delivery(headers, b"{}", 1000), Secrets())
