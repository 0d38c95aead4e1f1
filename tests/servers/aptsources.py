"""The Debian mirror that the machine itself uses, read from apt's sources in both of their formats."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers.availability import UnavailableError

ROLLING = ("stable", "testing", "unstable", "sid")

ONE_LINE = re.compile(
    r"deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)"
)


@dataclass(frozen=True)
class Mirror:
    """One source of packages.

    Attributes:
        uri: Address of the archive.
        suites: Suites taken from it.
        components: Components taken from it.
        signed_by: The keyring, a path or a whole key; empty for apt's own trusted keys.
    """

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""

    def stanza(self) -> str:
        """Write the source in deb822 format."""
        lines = ["Types: deb", f"URIs: {self.uri}", f"Suites: {' '.join(self.suites)}"]
        lines.append(f"Components: {' '.join(self.components)}")
        if self.signed_by:
            lines.append(f"Signed-By: {self.signed_by}")
        return "\n".join(lines) + "\n"


def find_mirror(suite: str | None = None, etc: Path = Path("/etc")) -> Mirror:
    """Find the machine's mirror of Debian's main archive.

    Args:
        suite: Suite to ask of it, by default the machine's own.
        etc: The folder with ``os-release`` and ``apt``.

    Raises:
        UnavailableError: The machine is not Debian, or its sources have no mirror.
    """
    release = _read_release(etc / "os-release")
    if release.get("ID") != "debian":
        raise UnavailableError(f"packages are fetched on Debian only, this is {release.get('ID', 'unknown')}")
    known = {release.get("VERSION_CODENAME", ""), *ROLLING} - {""}
    for mirror in read_sources(etc / "apt"):
        own = [name for name in mirror.suites if name in known]
        if own and "main" in mirror.components:
            return Mirror(mirror.uri, (suite or own[0],), ("main",), mirror.signed_by)
    raise UnavailableError("apt's sources name no mirror of Debian")


def read_sources(apt: Path) -> Iterator[Mirror]:
    """Yield every enabled source of binary packages.

    Args:
        apt: The folder with ``sources.list`` and ``sources.list.d``.
    """
    for path in sorted([apt / "sources.list", *apt.glob("sources.list.d/*")]):
        if path.suffix == ".sources":
            yield from _read_deb822(path.read_text())
        elif path.suffix == ".list" and path.is_file():
            yield from _read_lines(path.read_text())


def _read_lines(text: str) -> Iterator[Mirror]:
    for line in text.splitlines():
        if match := ONE_LINE.fullmatch(line.partition("#")[0].strip()):
            options = dict(word.split("=", 1) for word in (match["options"] or "").split() if "=" in word)
            components = tuple(match["components"].split())
            yield Mirror(match["uri"], (match["suite"],), components, options.get("signed-by", ""))


def _read_deb822(text: str) -> Iterator[Mirror]:
    without_comments = re.sub(r"^#.*\n?", "", text, flags=re.MULTILINE)
    for stanza in re.split(r"\n\s*\n", without_comments):
        fields = {
            name.lower(): value.strip()
            for name, value in re.findall(r"^([\w-]+):((?:.*)(?:\n[ \t]+.*)*)", stanza, flags=re.MULTILINE)
        }
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() == "no":
            continue
        suites, components = fields.get("suites", "").split(), fields.get("components", "").split()
        for uri in fields.get("uris", "").split():
            yield Mirror(uri, tuple(suites), tuple(components), fields.get("signed-by", ""))


def _read_release(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    pairs = (line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
    return {name: value.strip('"') for name, value in pairs}
