"""Node.js programs with packages in a cache folder, never in the repository."""

import subprocess
from pathlib import Path

from tests.servers.availability import UnavailableError, outer_environment
from tests.servers.debs import PATIENCE, cache_folder, locked
from tests.servers.programs import find


def node_modules(*packages: str) -> Path:
    """Return the folder ``node_modules`` with these packages, such as ``socket.io-client@4.8``.

    Raises:
        UnavailableError: npm is missing, or cannot install them.
    """
    root = cache_folder() / "node" / "+".join(sorted(packages)).replace("/", "-")
    done = root / "installed"
    with locked(root.with_name(f"{root.name}.lock"), PATIENCE):
        if not done.exists():
            _install(root, packages)
            done.touch()
    return root / "node_modules"


def _install(root: Path, packages: tuple[str, ...]) -> None:
    npm = find("npm")
    root.mkdir(parents=True, exist_ok=True)
    options = [
        "--no-audit",
        "--no-fund",
        "--no-save",
        "--ignore-scripts",
        "--loglevel=error",
        f"--prefix={root}",
    ]
    try:
        subprocess.run(
            [npm, "install", *options, *packages],
            check=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=outer_environment(),
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or error
        raise UnavailableError(f"npm does not get {' '.join(packages)}: {str(said)[-300:]}") from error
