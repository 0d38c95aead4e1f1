"""Debian packages with all they depend on, unpacked into a cache folder. Needs no root.

    python -m tests.servers.debs mysql-server-core unstable

fetches ahead of the tests and without their time limit.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.servers.aptsources import Mirror, find_mirror
from tests.servers.availability import ENVIRONMENT, UnavailableError

#: How long the tests wait for a fetch, in seconds; pytest ends a test after 120.
PATIENCE = 90.0

#: The machine's own configuration stays in force (proxies, credentials), but not its hooks, pins and folders.
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
Acquire::Retries "1";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
"""


def cache_folder() -> Path:
    """Return the folder for what is fetched or prepared once and used by every later run."""
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
    """Return the folder with a package and its dependencies unpacked, fetching them the first time.

    Args:
        package: Name of the Debian package.
        suite: Suite to take it from, by default the machine's own.
        patience: How long it may take in all, in seconds.

    Raises:
        UnavailableError: This is no Debian, or has no network, or not the package.
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


def _download(package: str, mirror: Mirror, work: Path, deadline: float) -> None:
    """Let apt fetch into ``work``; what is there from an attempt that was cut short is not fetched again."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    (work / "mirror.sources").write_text(mirror.stanza())
    config = work / "apt.conf"
    user = "root" if os.geteuid() == 0 else ""
    config.write_text(APT_CONFIG.format(work=work, user=user))
    _run(["apt-get", "-qq", "-c", str(config), "update", "--error-on=any"], deadline)
    install = ["install", "--yes", "--no-install-recommends", "--download-only", package]
    _run(["apt-get", "-qq", "-c", str(config), *install], deadline)


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
            env={**ENVIRONMENT, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
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
