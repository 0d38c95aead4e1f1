"""Debian packages with all their dependencies, unpacked into a cache folder. Needs no root.

    python -m tests.servers.debs mysql-server-core unstable

downloads a package ahead of the tests, without their time limit.
"""

import contextlib
import fcntl
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.servers.aptsources import Mirror, find_mirror
from tests.servers.availability import ENVIRONMENT, UnavailableError, outer_environment

#: How long the tests wait for a download, in seconds; pytest ends a test after 300.
PATIENCE = 90.0

#: Uses the machine's own configuration (proxies, credentials), but not its hooks, pins and folders.
#: Signatures are checked, dates are not: a mirror that is not refreshed any more is good enough for the tests.
APT_CONFIG = """
#clear APT::Update;
#clear DPkg;
Dir::Etc::SourceList "{work}/mirror.sources";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State "{work}";
Dir::State::Lists "{work}/lists";
Dir::State::status "/dev/null";
Dir::Cache "{work}/cache";
Dir::Cache::Archives "{work}/cache/archives";
Dir::Log "{work}";
Debug::NoLocking "1";
APT::Sandbox::User "{user}";
APT::Keep-Downloaded-Packages "1";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
Acquire::Check-Date "false";
Acquire::Retries "1";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
"""


def cache_folder() -> Path:
    """Return the folder for everything that is downloaded or prepared once for all later runs."""
    base = ENVIRONMENT.get("XDG_CACHE_HOME") or Path(ENVIRONMENT.get("HOME", "/nonexistent"), ".cache")
    return Path(base, "orderctl-tests")


@contextlib.contextmanager
def locked(path: Path, patience: float) -> Iterator[None]:
    """Hold the lock file at ``path``.

    Args:
        path: The file, created with its folders.
        patience: How long to wait for another process, in seconds.

    Raises:
        UnavailableError: The folder is not writable, or the other process takes longer.
    """
    deadline = time.monotonic() + patience
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except OSError as error:
        raise UnavailableError(f"no cache folder: {error}") from error
    with file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise UnavailableError(f"{path.stem} is being prepared by another process") from None
                time.sleep(0.1)
        yield


def fetch(package: str, suite: str | None = None, *, patience: float = PATIENCE) -> Path:
    """Return the folder of an unpacked package with its dependencies, downloading them the first time.

    Args:
        package: Name of the Debian package.
        suite: Suite to take it from, by default the machine's own.
        patience: Longest time in total, in seconds.

    Raises:
        UnavailableError: This is not Debian, the network is down, or the package does not exist.
    """
    name = f"{package}-{suite or 'own'}"
    root = cache_folder() / name
    if root.is_dir():
        return root
    deadline = time.monotonic() + patience
    with locked(root.with_name(f"{name}.lock"), patience):
        if not root.is_dir():
            work = root.with_name(f"{name}.work")
            _download(package, find_mirror(suite), work, deadline)
            _unpack(work).rename(root)
            shutil.rmtree(work)
    return root


def program(package: str, name: str, suite: str | None = None) -> Path:
    """Return an executable file that runs a program of a package.

    Args:
        package: Name of the Debian package.
        name: Name of a program in its ``bin`` or ``sbin``.
        suite: As for ``fetch``.

    Raises:
        UnavailableError: As for ``fetch``; or the package does not have the program.
    """
    root = fetch(package, suite)
    script = root / "run" / name
    if not script.exists():
        words = " ".join(map(shlex.quote, command(root, name)))
        script.parent.mkdir(exist_ok=True)
        work = script.with_name(f"{name}.{os.getpid()}")
        work.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        work.chmod(0o755)
        work.rename(script)
    return script


def command(root: Path, *names: str) -> tuple[str, ...]:
    """Return the command of a program in unpacked packages, with their own loader and libraries.

    Args:
        root: Folder where they are unpacked.
        names: Names of the program; the first that exists is used.

    Raises:
        UnavailableError: The program or the loader does not exist.
    """
    root = root.absolute()
    folders = ("usr/sbin", "usr/bin", "sbin", "bin")
    programs = [root / folder / name for name in names for folder in folders]
    program = next((path for path in programs if path.exists()), None)
    loaders = [path for place in ("lib*", "usr/lib*") for path in root.glob(f"{place}/ld-linux*.so.*")]
    if program is None or not loaders:
        raise UnavailableError(f"no {' or '.join(names)} with its libraries in {root}")
    libraries = [str(path) for place in ("lib", "usr/lib") for path in root.glob(f"{place}/*-linux-gnu*")]
    return (str(loaders[0]), "--library-path", ":".join(libraries), str(program))


def _download(package: str, mirror: Mirror, work: Path, deadline: float) -> None:
    """Let apt download into ``work``; files from an interrupted attempt are not downloaded again."""
    apt_get = ["apt-get", "-qq", "-c", str(configure(mirror, work))]
    _run([*apt_get, "update", "--error-on=any"], deadline)
    install = ["install", "--yes", "--no-install-recommends", "--download-only", package]
    _run([*apt_get, *install], deadline)


def configure(mirror: Mirror, work: Path) -> Path:
    """Write the configuration of an apt that keeps everything in ``work``; return its file."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    (work / "mirror.sources").write_text(mirror.stanza())
    user = "root" if os.geteuid() == 0 else ""
    config = work / "apt.conf"
    config.write_text(APT_CONFIG.format(work=work, user=user))
    return config


def _unpack(work: Path) -> Path:
    root = work / "root"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for archive in sorted((work / "cache/archives").glob("*.deb")):
        _run(["dpkg", "-x", str(archive), str(root)], time.monotonic() + 60)
    return root


def _run(command: list[str], deadline: float) -> None:
    try:
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            timeout=max(deadline - time.monotonic(), 1),
            env={**outer_environment(), "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
        )
    except FileNotFoundError as error:
        raise UnavailableError(f"{command[0]} is not on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(
            f"{command[0]} took too long; fetch ahead: python -m tests.servers.debs"
        ) from error
    except subprocess.CalledProcessError as error:
        raise UnavailableError(f"{command[0]} failed: {error.stderr.strip()[-500:]}") from error


if __name__ == "__main__":
    fetch(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None, patience=3600)
