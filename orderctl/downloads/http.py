"""The http handler: a course is the URL of a file, or of a JSON manifest that lists its files."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

from orderctl import private_files
from orderctl.downloads import folder, manifest, names, part
from orderctl.downloads.acceptance import accept, not_a_file
from orderctl.downloads.body import Body
from orderctl.downloads.client import Answer, HttpClient
from orderctl.downloads.errors import DiskFull, InvalidManifest
from orderctl.downloads.evidence import is_text, looks_like_manifest
from orderctl.downloads.fetch import RESERVE, Fetch
from orderctl.downloads.meter import Meter
from orderctl.downloads.protocol import Context, Delivery, Enrollment, RemoteFile
from orderctl.downloads.stream import StreamLimits


class HttpHandler:
    """Fetches courses over HTTP.

    Args:
        window: Seconds over which ``download.min_bytes_per_second`` is measured.
        reserve: Bytes to leave free on the disk.
        tls: Context that verifies servers; None: the certificate authorities of the system.
    """

    def __init__(
        self, *, window: float = 60.0, reserve: int = RESERVE, tls: ssl.SSLContext | None = None
    ) -> None:
        self._window = window
        self._reserve = reserve
        self._tls = tls

    def enroll(self, context: Context) -> Enrollment:
        """Find out which files there are at the course's URL.

        Raises:
            DownloadError: There is nothing that can be downloaded.
        """
        with self._client(context).get(context.course_url) as answer:
            file = RemoteFile(_name(answer, context.course_url), context.course_url)
            body = accept(answer, file, context.settings.download.max_bytes, is_course=True)
            file = replace(file, size=body.length, measured=body.length is not None)
            title = context.title or file.name
            if body.empty:
                raise not_a_file(answer.url.shown, "empty")
            if not _may_be_manifest(answer, body):
                return Enrollment(title, (file,))
            found = manifest.parse(body.read(manifest.MAX_BYTES), str(answer.url), title=title)
        if found is None and not file.name.lower().endswith(".json"):
            raise InvalidManifest(f"{answer.url.shown} is JSON, but not a manifest: it has no list of files")
        return found or Enrollment(title, (file,))

    def download(self, context: Context, enrollment: Enrollment) -> Delivery:
        """Fetch all files. Each gets its final name as soon as it is complete.

        Raises:
            DownloadError: One file could not be downloaded. The files before it are kept for the next
                attempt.
        """
        root = context.settings.download_directory
        if context.settings.download.directory is None:
            with folder.translating(str(root)):
                private_files.make_folder(context.settings.state_dir)
        client = self._client(context)
        meter = Meter([file.size for file in enrollment.files], context.progress)
        with folder.opened(root, context.folder_name) as opened:
            self._require_room(context, enrollment, opened.free_bytes())
        finished: dict[str, set[str]] = {}
        for index, file in enumerate(enrollment.files):
            context.check()
            outer, _, name = f"{context.folder_name}/{file.name}".rpartition("/")
            with folder.opened(root, outer) as opened, folder.translating(file.name):
                Fetch(context, client, opened, file, index, meter, self._reserve).run()
            finished.setdefault(outer, set()).add(name)
        for outer, names_there in finished.items():
            with folder.opened(root, outer) as opened:
                part.sweep(opened, names_there)
        return Delivery(context.folder_name, context.drive_link)

    def _client(self, context: Context) -> HttpClient:
        download = context.settings.download
        limits = StreamLimits(download.timeout_seconds, download.min_bytes_per_second, self._window)
        return HttpClient(limits, context.check, allow_private=download.allow_private_hosts, tls=self._tls)

    def _require_room(self, context: Context, enrollment: Enrollment, free: int) -> None:
        missing = sum(_missing(context.folder, file) for file in enrollment.files)
        if missing + self._reserve > free:
            raise DiskFull(
                f"not enough disk space for the course: "
                f"{missing} bytes and a reserve of {self._reserve} are needed, {free} are free"
            )


def _name(answer: Answer, url: str) -> str:
    given = answer.filename
    return names.given_name(given) if given else names.of_urls(url, str(answer.url))


def _may_be_manifest(answer: Answer, body: Body) -> bool:
    if not is_text(body.head()):
        return False
    if looks_like_manifest(body.head()) and (body.length or 0) <= manifest.MAX_BYTES:
        return True
    json_type = answer.content_type == "application/json" or answer.content_type.endswith("+json")
    return json_type or answer.url.target.partition("?")[0].lower().endswith(".json")


def _missing(inside: Path, file: RemoteFile) -> int:
    """Return how many bytes of a file are missing on the disk, 0 when its size is unknown."""
    path = inside / file.name
    have = 0
    for candidate in (path, path.with_name(f".{path.name}.part")):
        try:
            have = max(have, candidate.lstat().st_size)
        except OSError:
            continue
    return max(0, (file.size or 0) - have)
