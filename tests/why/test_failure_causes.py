"""What the texts of errors, as they are recorded, are taken for; each error type has a cause."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orderctl.downloads import acceptance, addresses
from orderctl.downloads.errors import (
    AddressRefused,
    CertificateRefused,
    ChecksumMismatch,
    ConnectionBroken,
    DiskFull,
    DownloadError,
    HostUnreachable,
    InvalidManifest,
    LinkRefused,
    NotPermitted,
    StatusRefused,
    TooLarge,
    TooSlow,
    UrlRefused,
)
from orderctl.failures import describe, lost_worker
from orderctl.settings import Settings, load
from orderctl.states import ErrorType
from orderctl.why import failure_causes
from orderctl.why.failure_causes import Failed, Trouble

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
PLAIN = "https://files.example/a.zip"
EXPIRED = f"{PLAIN}?X-Amz-Date=20260601T100000Z&X-Amz-Expires=60&X-Amz-Signature=SECRETSECRET"
VALID = f"{PLAIN}?X-Amz-Date=20260601T115900Z&X-Amz-Expires=600&X-Amz-Signature=SECRETSECRET"


def settings(tmp_path: Path, **more: str) -> Settings:
    return load(environ={"ORDERCTL_STATE_DIR": str(tmp_path), **more})


def failed(error: Exception, url: str = PLAIN) -> Failed:
    failure = describe(error)
    return Failed(failure.error_type, f"{failure.error_type}: {failure.message}", url, NOW)


#: An error as its class makes it, the address of the course, the cause, and whether another attempt may succeed now.
CASES = [
    (StatusRefused(404, PLAIN), PLAIN, "not-found", False),
    (StatusRefused(410, PLAIN), PLAIN, "gone", False),
    (StatusRefused(410, PLAIN), EXPIRED, "link-expired", False),
    (StatusRefused(401, PLAIN), PLAIN, "access-denied", False),
    (StatusRefused(403, PLAIN), PLAIN, "access-denied", False),
    (StatusRefused(403, PLAIN), EXPIRED, "link-expired", False),
    (StatusRefused(400, PLAIN), EXPIRED, "link-expired", False),
    (StatusRefused(403, PLAIN), VALID, "link-renewed", True),
    (StatusRefused(407, PLAIN), PLAIN, "proxy-login", False),
    (StatusRefused(503, PLAIN), PLAIN, "server-fault", True),
    (StatusRefused(429, PLAIN), PLAIN, "server-fault", True),
    (StatusRefused(400, PLAIN), PLAIN, "server-refuses", False),
    (AddressRefused("h has the address 10.0.0.1, which is not public", hint=addresses.HINT), PLAIN, "private-address", False),
    (CertificateRefused("the certificate of h is not valid: self-signed"), PLAIN, "certificate", False),
    (UrlRefused("https://h redirects from https to http, which is not allowed"), PLAIN, "redirect-refused", False),
    (UrlRefused("malformed URL: it has no host"), PLAIN, "url-refused", False),
    (HostUnreachable("cannot resolve h: Name or service not known"), PLAIN, "dns", True),
    (HostUnreachable("cannot connect to h: Connection refused"), PLAIN, "unreachable", True),
    (ConnectionBroken("the connection ended"), PLAIN, "connection-broken", True),
    (TooSlow("the server sent nothing for 30 s"), PLAIN, "timeout", True),
    (TooSlow("slower than 1024 bytes/s"), PLAIN, "too-slow", True),
    (acceptance.not_a_file(PLAIN, "an HTML page"), PLAIN, "not-a-file", False),
    (acceptance.not_a_file(PLAIN, "an HTML page"), EXPIRED, "link-expired", False),
    (ChecksumMismatch("wrong"), PLAIN, "damaged", True),
    (InvalidManifest("'files' in the manifest is not a list"), PLAIN, "manifest", False),
    (TooLarge(f"{PLAIN} has {2**50} bytes, more than download.max_bytes (5)"), PLAIN, "too-large", False),
    (TooLarge(f"{PLAIN} has 10 bytes, more than download.max_bytes (5)"), PLAIN, "too-large", True),
    (TooLarge(f"{PLAIN} is larger than download.max_bytes ({2**40})"), PLAIN, "too-large", False),
    (TooLarge(f"{PLAIN} is larger than download.max_bytes (5)"), PLAIN, "too-large", True),
    (DiskFull("no space left on the disk for 'a'"), PLAIN, "disk-full", True),
    (DiskFull(f"not enough: {2**60} bytes and a reserve of 5 are needed, 1 are free"), PLAIN, "disk-full", False),
    (NotPermitted("permission denied: 'a'"), PLAIN, "permission", False),
    (NotPermitted("another process is downloading 'a' into 'b'"), PLAIN, "file-busy", True),
    (LinkRefused("'a' is a symbolic link or the wrong kind of file"), PLAIN, "link-in-folder", False),
    (RuntimeError("boom"), PLAIN, "unknown", True),
    (DownloadError("malformed"), PLAIN, "bad-answer", True),
]  # fmt: skip


@pytest.mark.parametrize(("error", "url", "cause", "may_succeed"), CASES)
def test_an_error_has_its_cause(
    tmp_path: Path, error: Exception, url: str, cause: str, may_succeed: bool
) -> None:
    found = failure_causes.of(failed(error, url), settings(tmp_path))
    assert (found.cause, found.first is None) == (cause, may_succeed), found
    assert "SECRETSECRET" not in repr(found)


@pytest.mark.parametrize("error_type", ErrorType)
def test_each_error_type_has_a_cause_whatever_its_text(tmp_path: Path, error_type: ErrorType) -> None:
    """Workers of the shop's own write texts of their own."""
    for text in ("", f"{error_type}", "Lỗi không rõ", "\x1b[31mHTTP 999"):
        found = failure_causes.of(Failed(error_type, text, "", NOW), settings(tmp_path))
        assert isinstance(found, Trouble)
        assert found.cause


def test_a_worker_that_was_lost(tmp_path: Path) -> None:
    failure = lost_worker("host.worker-1")
    found = failure_causes.of(Failed(failure.error_type, failure.message, PLAIN, NOW), settings(tmp_path))
    assert (found.cause, found.first) == ("worker-died", None)


def test_a_cause_is_gone_once_the_setting_is_changed(tmp_path: Path) -> None:
    private = failed(AddressRefused("h has the address 10.0.0.1, which is not public"))
    allowed = settings(tmp_path, ORDERCTL_DOWNLOAD_ALLOW_PRIVATE_HOSTS="1")
    large = failed(TooLarge(f"{PLAIN} has 10 bytes, more than download.max_bytes (5)"))
    assert failure_causes.of(private, allowed).first is None
    assert failure_causes.of(large, settings(tmp_path, ORDERCTL_DOWNLOAD_MAX_BYTES="9")).first is not None
    assert failure_causes.of(large, settings(tmp_path, ORDERCTL_DOWNLOAD_MAX_BYTES="10")).first is None


def test_the_free_space_is_that_of_the_folder_which_is_not_made_yet(tmp_path: Path) -> None:
    free = failure_causes.free_bytes(tmp_path / "not" / "yet")
    assert free is not None
    assert abs(free - os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize) < 2**30
    assert not (tmp_path / "not").exists()


def test_the_folder_cannot_be_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("shutil.disk_usage", refuse)
    found = failure_causes.of(replace(failed(DiskFull("full")), url=PLAIN), settings(tmp_path))
    assert found.first is not None
    assert "worker's machine" in found.first
