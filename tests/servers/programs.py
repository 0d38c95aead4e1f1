"""The programs that the tests run besides Python: where they are, and how to get them."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.servers import debs
from tests.servers.availability import ENVIRONMENT, UnavailableError

LIST = Path(__file__).parents[1] / "programs.txt"

#: Where servers are installed, beyond the PATH of an ordinary user.
SERVER_PATH = "/usr/local/sbin:/usr/sbin:/usr/local/libexec:/usr/libexec"


def packages() -> Mapping[str, str]:
    """Return Debian's package of each program."""
    lines = (line.split() for line in LIST.read_text().splitlines() if not line.startswith("#"))
    return dict(lines)


def search_path() -> str:
    """Return where programs are searched: the PATH of the tests' start, and the servers' folders."""
    return os.pathsep.join((ENVIRONMENT.get("PATH", ""), SERVER_PATH))


def find(name: str, *others: str) -> Path:
    """Find a program.

    Args:
        name: Its name in ``programs.txt``.
        others: Its names on other systems.

    Raises:
        UnavailableError: It is not installed.
    """
    for each in (name, *others):
        if found := shutil.which(each, path=search_path()):
            return Path(found).absolute()
    package = packages().get(name)
    raise UnavailableError(f"no {name}: sudo apt install {package}" if package else f"no {name} on the PATH")


def find_or_fetch(name: str, package: str) -> Path:
    """Find a server's program, or download its package.

    Args:
        name: Name of the program.
        package: Its package in the machine's own suite of Debian.

    Raises:
        UnavailableError: Both failed.
    """
    if found := shutil.which(name, path=search_path()):
        return Path(found).absolute()
    try:
        return debs.program(package, name)
    except UnavailableError as error:
        raise UnavailableError(f"no {name}: sudo apt install {package} ({error})") from error
