"""A wheel contains everything that the program needs, in the right places."""

import configparser
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Folders of the source tree, and the package of each.
SOURCES = {"orderctl": "orderctl", "migrations": "orderctl.migrations"}


def declared() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def packages() -> set[str]:
    found = set()
    for folder, package in SOURCES.items():
        for file in (ROOT / folder).rglob("__init__.py"):
            inner = file.parent.relative_to(ROOT / folder).parts
            found.add(".".join((package, *inner)))
    return found


def test_every_package_is_listed():
    assert set(declared()["options"]["packages"].split()) == packages()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy, without files that setuptools left in the source tree."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("orderctl", "migrations", "man", "completions", "docs/systemd", "docs/pm2"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    code = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (file,) = (folder / "dist").glob("*.whl")
    return zipfile.ZipFile(file)


def data_files(wheel: zipfile.ZipFile) -> set[str]:
    return {name.partition(".data/data/")[2] for name in wheel.namelist() if ".data/data/" in name}


def test_every_file_of_the_packages_is_in_the_wheel(wheel):
    expected = {
        f"{package.replace('.', '/')}/{file.relative_to(ROOT / folder)}"
        for folder, package in SOURCES.items()
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }

    assert expected - set(wheel.namelist()) == set()


def test_manual_pages_and_completions_are_in_the_wheel(wheel):
    pages = {f"share/man/man{file.suffix[1:]}/{file.name}" for file in (ROOT / "man").iterdir()}

    units = {
        f"share/orderctl/{kind}/{file.name}"
        for kind in ("systemd", "pm2")
        for file in (ROOT / "docs" / kind).iterdir()
    }

    assert data_files(wheel) == pages | units | {
        "share/bash-completion/completions/orderctl.bash",
        "share/zsh/site-functions/_orderctl",
        "share/fish/vendor_completions.d/orderctl.fish",
    }


def test_the_wheel_has_its_license_and_its_entry_points(wheel):
    names = wheel.namelist()
    (entry_points,) = (name for name in names if name.endswith("/entry_points.txt"))

    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert wheel.read(entry_points).decode().split("\n")[:2] == [
        "[console_scripts]",
        "orderctl = orderctl.cli.main:main",
    ]


def test_what_is_installed_runs_and_finds_its_migrations(wheel, tmp_path):
    wheel.extractall(tmp_path)
    code = "import orderctl.migrations as m, orderctl.cli.main; print(m.__file__); orderctl.cli.main.main()"

    done = subprocess.run(
        [sys.executable, "-c", code, "--version"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.startswith(f"{tmp_path}/orderctl/migrations/__init__.py\norderctl ")
