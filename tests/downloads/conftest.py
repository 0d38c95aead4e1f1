"""Fixtures that the tests of downloads share."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from orderctl.downloads import Context, Enrollment, RemoteFile
from orderctl.downloads.http import HttpHandler
from orderctl.settings import load
from tests.servers.scripted import ScriptedServer


@dataclass
class Download:
    """The downloads of one task: makes contexts, and records what they report.

    Attributes:
        settings: Settings that differ from the defaults, by key.
        checks: Called at every ``check``; may raise.
    """

    directory: Path
    settings: dict[str, str] = field(default_factory=dict)
    reports: list[tuple[float, str, float | None]] = field(default_factory=list)
    checks: Callable[[], None] = lambda: None
    order_code: str = "DH1"
    title: str | None = None

    def _check(self) -> None:
        self.checks()

    @property
    def folder(self) -> Path:
        return self.directory / self.order_code / "7"

    def context(self, url: str, attempt: int = 1) -> Context:
        flags = {
            "download.directory": str(self.directory),
            "download.allow_private_hosts": "true",
            "download.timeout_seconds": "60",
        }
        return Context(
            task_id=7,
            order_id=3,
            order_code=self.order_code,
            attempt=attempt,
            title=self.title,
            course_url=url,
            settings=load(flags | self.settings, environ={}),
            progress=lambda *report: self.reports.append(report),
            check=self._check,
        )

    def run(self, url: str, attempt: int = 1, handler: HttpHandler | None = None):
        """Enroll and download."""
        handler = handler or HttpHandler(reserve=0)
        context = self.context(url, attempt)
        return handler.download(context, handler.enroll(context))

    def files(self) -> dict[str, bytes]:
        """Return what a customer sees: all files with their content, except dot files."""
        found = (path for path in self.folder.rglob("[!.]*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}

    def hidden(self) -> set[str]:
        """Return the names of the dot files."""
        return {path.name for path in self.folder.rglob(".*") if path.is_file()}


@pytest.fixture
def download(tmp_path: Path) -> Download:
    return Download(tmp_path / "downloads")


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedServer]]:
    """``scripted(script)`` starts a server that answers what the script yields."""
    servers = []

    def start(script, **options):
        servers.append(ScriptedServer(script, **options).start())
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def one_file(url: str, name: str = "a.bin", **known) -> Enrollment:
    """Return the enrollment of one file without asking the server."""
    return Enrollment("A course", (RemoteFile(name, url, **known),))
