"""The http handler with a correct server."""

import hashlib

import pytest

from orderctl.downloads import Delivery, Enrollment, RemoteFile
from orderctl.downloads.errors import (
    ChecksumMismatch,
    HostUnreachable,
    InvalidManifest,
    NotAFile,
    SizeMismatch,
    StatusRefused,
    TooLarge,
)
from orderctl.downloads.http import HttpHandler
from orderctl.states import ErrorType
from tests.servers.scripted import answer, chunked


def test_enrolls_a_single_file(download, course_server):
    url = course_server.add("/go/lesson 1.mp4", 5000)

    enrollment = HttpHandler().enroll(download.context(f"{url}?token=x"))

    file = RemoteFile("lesson 1.mp4", f"{url}?token=x", 5000, measured=True)
    assert enrollment == Enrollment("lesson 1.mp4", (file,))
    assert enrollment.total_bytes == 5000
    assert not download.directory.exists()


def test_enrolls_a_manifest(download, course_server):
    url = course_server.add_course("/go", {"a.mp4": 10, "b/c.pdf": 20}, title="Learn Go")

    enrollment = HttpHandler().enroll(download.context(url))

    assert enrollment.title == "Learn Go"
    assert [(file.name, file.size) for file in enrollment.files] == [("a.mp4", 10), ("b/c.pdf", 20)]
    assert enrollment.total_bytes == 30


def test_downloads_a_single_file(download, course_server):
    delivery = download.run(course_server.add("/go.mp4", 1_000_000))

    assert delivery == Delivery("DH1/7", None)
    assert download.files() == {"go.mp4": course_server.content("/go.mp4")}


def test_downloads_every_file_of_a_manifest_into_its_folder(download, course_server):
    url = course_server.add_course("/go", {"a.mp4": 300_000, "part 1/b.mp4": 0, "part 1/c.mp4": 1})

    download.run(url)

    assert download.files() == {
        name: course_server.content(f"/go/{name}") for name in ("a.mp4", "part 1/b.mp4", "part 1/c.mp4")
    }
    assert not [name for name in download.hidden() if ".part" in name]


def test_links_to_the_folder_with_odd_characters_in_the_order_code(download, course_server):
    download.order_code = "DH/#1 ?é"
    download.settings["download.public_url"] = "https://files.example/x/"

    delivery = download.run(course_server.add("/a.bin", 1))

    assert delivery == Delivery("DH_#1 _é/7", "https://files.example/x/DH_%231%20_%C3%A9/7/")
    assert (download.directory / "DH_#1 _é" / "7" / "a.bin").is_file()


def test_reports_percent_over_all_bytes(download, course_server):
    download.run(course_server.add_course("/go", {"a": 3_000_000, "b": 1_000_000}))

    percents = [percent for percent, _, _ in download.reports]
    assert percents == sorted(percents)
    assert percents[0] == 0
    assert (75.0, "b") in [(percent, name) for percent, name, _ in download.reports]
    assert download.reports[-1][:2] == (100.0, "b")
    assert all(percent < 100 for percent in percents[:-1])


def test_reports_percent_by_files_while_a_size_is_unknown(download, course_server):
    download.run(course_server.add_course("/go", {"a": 3_000_000, "b": 1_000_000}, sizes=False))

    assert (50.0, "b") in [(percent, name) for percent, name, _ in download.reports]


def test_resumes_where_an_attempt_was_stopped(download, course_server):
    url = course_server.add("/go.mp4", 2_000_000)
    course_server.hold("/go.mp4", at=1_200_000)
    stop_at(download, 1_000_000)
    with pytest.raises(KeyboardInterrupt):
        download.run(url)
    course_server.release("/go.mp4")
    download.checks = lambda: None

    download.run(url, attempt=2)

    assert download.files() == {"go.mp4": course_server.content("/go.mp4")}
    last = course_server.requests[-1]
    assert last.status == 206
    assert int(last.headers["Range"].removeprefix("bytes=").removesuffix("-")) >= 1_000_000


def test_leaves_what_an_earlier_attempt_has_finished(download, course_server):
    for number, checksums in enumerate((True, False)):
        url = course_server.add_course(f"/go{number}", {f"{number}.mp4": 500_000}, checksums=checksums)
        download.run(url)
        course_server.requests.clear()

        download.run(url, attempt=2)

        assert [request.status for request in course_server.requests] == [200] + [304] * (not checksums)


def test_fetches_again_what_has_changed_on_the_server(download, course_server):
    url = course_server.add("/a.bin", b"first")
    download.run(url)
    course_server.add("/a.bin", b"2cond")

    download.run(url, attempt=2)

    assert download.files() == {"a.bin": b"2cond"}


@pytest.mark.parametrize(
    ("replaced", "error"),
    [
        (answer(b"\0" * 99), SizeMismatch),
        (answer(b"<html>Back soon</html>", "Content-Type: text/html"), NotAFile),
        (answer(b"\0" * 2000), TooLarge),
        (chunked(b"\0" * 99), SizeMismatch),
        (chunked(b"\0" * 2000), TooLarge),
    ],
)
def test_a_file_that_is_replaced_after_the_enrollment_is_enrolled_again(download, scripted, replaced, error):
    server = scripted(lambda asked: replaced if asked.count == 1 else answer(b"\0" * 1000))
    download.settings["download.max_bytes"] = "1500"

    with pytest.raises(error) as caught:
        download.run(f"{server.url}/a.bin")
    download.run(f"{server.url}/a.bin", attempt=2)

    assert caught.value.transient
    assert download.files() == {"a.bin": b"\0" * 1000}


def test_a_file_of_unknown_size_that_is_too_large_is_so_for_good(download, scripted):
    server = scripted(lambda _asked: chunked(b"\0" * 2000))
    download.settings["download.max_bytes"] = "1500"

    with pytest.raises(TooLarge) as caught:
        download.run(f"{server.url}/a.bin")

    assert not caught.value.transient


@pytest.mark.parametrize(
    ("status", "error_type"),
    [
        (401, ErrorType.AUTHENTICATION),
        (403, ErrorType.AUTHENTICATION),
        (404, ErrorType.NOT_FOUND),
        (410, ErrorType.NOT_FOUND),
        (408, ErrorType.NETWORK),
        (429, ErrorType.NETWORK),
        (500, ErrorType.NETWORK),
        (503, ErrorType.NETWORK),
        (501, ErrorType.UNKNOWN),
        (505, ErrorType.UNKNOWN),
        (202, ErrorType.NETWORK),
        (418, ErrorType.UNKNOWN),
    ],
)
def test_classifies_a_status(download, course_server, status, error_type):
    url = course_server.add("/a.bin", 10)
    course_server.fail("/a.bin", status)

    with pytest.raises(StatusRefused, match=f"HTTP {status} .*/a.bin") as caught:
        download.run(f"{url}?token=secret")

    assert caught.value.error_type is error_type
    assert caught.value.transient is (error_type is ErrorType.NETWORK)
    assert "secret" not in str(caught.value)
    assert download.files() == {}


def test_refuses_a_wrong_checksum(download, course_server):
    url = course_server.add("/a.bin", b"right")
    wrong = hashlib.sha256(b"wrong").hexdigest()
    manifest = course_server.add_manifest("/m.json", {"files": [{"url": url, "sha256": wrong}]})

    with pytest.raises(ChecksumMismatch, match=f"instead of {wrong}") as caught:
        download.run(manifest)

    assert caught.value.error_type is ErrorType.CHECKSUM
    assert download.files() == {}
    assert download.hidden() == set()


def test_says_when_no_client_listens(download, course_server):
    course_server.close()

    with pytest.raises(HostUnreachable, match="Connection refused") as caught:
        download.run(f"{course_server.url}/a.bin")

    assert caught.value.error_type is ErrorType.NETWORK


def stop_at(download, size):
    """Interrupt the download when its part file has this number of bytes."""

    def check():
        parts = [path.stat().st_size for path in download.directory.rglob("*.part")]
        if max(parts, default=0) >= size:
            raise KeyboardInterrupt

    download.checks = check


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="lesson 1.mp4"', "lesson 1.mp4"),
        ("attachment; filename*=UTF-8''b%C3%A0i%201.mp4", "bài 1.mp4"),
        ('attachment; filename="bài 1.mp4"', "bài 1.mp4"),
        ('attachment; filename="../../etc/passwd"', "_.._etc_passwd"),
        ("attachment; filename=bai.mp4; filename*=UTF-8''b%C3%A0i.mp4", "bài.mp4"),
        ('attachment; filename="=?UTF-8?B?Li4vYi5tcDQ=?="', "_b.mp4"),
        ('attachment; filename="..%2Fb.mp4"', "_b.mp4"),
        ("attachment", "download"),
        ("\x01;;=;filename", "download"),
    ],
)
def test_takes_the_name_that_the_server_gives(download, scripted, disposition, name):
    server = scripted(lambda _asked: answer(b"x", f"Content-Disposition: {disposition}"))

    download.run(f"{server.url}/download?id=5")

    assert download.files() == {name: b"x"}


def test_takes_the_name_of_a_redirect_where_the_courses_url_has_none(download, scripted):
    server = scripted(
        lambda asked: (
            answer(b"x")
            if asked.path == "/a/b.mp4"
            else answer(b"", "Location: /a/b.mp4", status="302 Found")
        )
    )

    download.run(f"{server.url}/download?id=5")

    assert download.files() == {"b.mp4": b"x"}


def test_json_that_is_not_a_manifest_is_a_file_only_if_its_name_says_so(download, scripted):
    server = scripted(lambda _asked: answer(b'{"error": "no"}', "Content-Type: application/json"))

    download.run(f"{server.url}/data.json")

    assert download.files() == {"data.json": b'{"error": "no"}'}
    with pytest.raises(InvalidManifest, match="not a manifest"):
        download.run(f"{server.url}/lesson.mp4")


def test_a_manifest_of_any_json_type_or_name(download, scripted):
    body = b'{"files": [{"url": "a.bin"}]}'
    for path, content_type in (
        ("/m.json", "text/plain"),
        ("/m", "application/vnd.course+json; charset=utf-8"),
        ("/m.php?course=5", "text/html; charset=utf-8"),
        ("/m", "application/octet-stream"),
    ):
        server = scripted(
            lambda _asked, content_type=content_type: answer(body, f"Content-Type: {content_type}")
        )
        context = download.context(server.url + path)

        enrollment = HttpHandler().enroll(context)

        assert [file.url for file in enrollment.files] == [f"{server.url}/a.bin"]


def test_a_manifest_that_is_too_large_is_refused(download, scripted):
    server = scripted(lambda _asked: answer(b"[" * (9 * 2**20), "Content-Type: application/json"))

    with pytest.raises(TooLarge):
        HttpHandler().enroll(download.context(f"{server.url}/m.json"))
