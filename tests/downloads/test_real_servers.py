"""The http handler and the web servers that course owners use."""

import re
import shutil
from urllib.parse import quote

import pytest

from orderctl.downloads import names
from orderctl.downloads.errors import BadAnswer, ConnectionBroken, NotAFile, StatusRefused
from orderctl.states import TRANSIENT, ErrorType
from tests.servers.availability import needed
from tests.servers.cutting import CuttingProxy
from tests.servers.webservers import (
    LARGE,
    Apache,
    Caddy,
    KeepingPythonServer,
    Nginx,
    PythonServer,
    WebServer,
    course_files,
    lay_out,
)

KINDS = {
    "nginx": Nginx,
    "apache": Apache,
    "caddy": Caddy,
    "python": PythonServer,
    "python-1.1": KeepingPythonServer,
}
FILES = course_files()
#: An empty file or a page is not a course, only a part of one.
SINGLE = [name for name in FILES if FILES[name] and not name.endswith(".html")]
LESSON = "lesson 1.mp4"


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    """One home for all tests here, which are many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def start(home):
    """``start(kind)`` returns the running server of that kind."""
    root = lay_out()
    running: dict[str, WebServer] = {}

    def get(kind):
        if kind not in running:
            with needed():
                running[kind] = KINDS[kind](root)
        return running[kind].start()

    yield get
    for server in running.values():
        server.close()
    shutil.rmtree(root.parent)


@pytest.fixture
def cut(start):
    """``cut(kind, at, ...)`` returns a proxy that cuts the connections of the download after some bytes."""
    proxies = []

    def get(kind, *at):
        proxies.append(CuttingProxy(start(kind).port).start())
        proxies[-1].cuts = [LARGE * 2, *at]  # the first connection is that of the enrollment
        return proxies[-1]

    yield get
    for proxy in proxies:
        proxy.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SINGLE)
def test_fetches_each_file_as_it_is_and_under_its_name(kind, name, start, download):
    download.run(f"{start(kind).url}/{quote(name)}")

    assert download.files() == {names.reduce_name(name): FILES[name]}


@pytest.mark.parametrize("kind", KINDS)
def test_fetches_all_files_of_a_manifest(kind, start, download):
    download.run(f"{start(kind).url}/course.json")

    assert download.files() == {names.reduce_name(name): body for name, body in FILES.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_connection_that_breaks_costs_nothing_where_the_server_can_resume(kind, cut, download):
    proxy = cut(kind, 2_000_000, 1_000_000)

    if KINDS[kind].resumes:
        download.run(f"{proxy.url}/{quote(LESSON)}")
    else:
        complete(proxy, LESSON, download)

    assert download.files() == {LESSON: FILES[LESSON]}
    fetched = sum(proxy.passed[1:])
    assert (fetched < LARGE + 500_000) == KINDS[kind].resumes


@pytest.mark.parametrize(
    "path", ["nginx/no-ranges", "nginx/no-etag", "nginx/one-range", "nginx/filtered", "apache/no-ranges"]
)
def test_a_server_that_cannot_resume_sends_the_file_again(path, cut, download):
    kind, _, place = path.partition("/")
    proxy = cut(kind, 2_000_000)

    complete(proxy, f"{place}/{LESSON}", download)

    assert download.files() == {LESSON: FILES[LESSON]}
    assert (sum(proxy.passed[1:]) < LARGE + 500_000) == (place == "one-range")


def test_resumes_an_archive_that_apache_labels_as_coded(cut, download):
    proxy = cut("apache", 12_000)

    download.run(f"{proxy.url}/code.tgz")

    assert download.files() == {"code.tgz": FILES["code.tgz"]}
    assert proxy.passed[-1] < 12_000


def test_a_server_that_dies_in_the_middle_and_comes_back(start, cut, download):
    server = start("nginx")
    proxy = cut("nginx", 2_000_000)
    download.checks = lambda: server.kill() if sum(proxy.passed[1:]) >= 2_000_000 else None
    url = f"{proxy.url}/{quote(LESSON)}"

    with pytest.raises(ConnectionBroken):
        download.run(url)
    with pytest.raises(ConnectionBroken):
        download.run(url, attempt=2)
    download.checks = lambda: None
    server.start()
    download.run(url, attempt=3)

    assert download.files() == {LESSON: FILES[LESSON]}
    assert proxy.passed[-1] < LARGE - 1_500_000


def complete(proxy, path, download):
    """Run attempts as a worker would: a broken connection is a transient failure."""
    url = f"{proxy.url}/{quote(path)}"
    for number in range(1, 4):
        try:
            download.run(url, attempt=number)
        except ConnectionBroken:
            proxy.cuts = [LARGE * 2, *proxy.cuts]
        else:
            return
    pytest.fail("it never completes")


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_not_there(kind, start, download):
    with pytest.raises(StatusRefused, match="HTTP 404") as caught:
        download.run(f"{start(kind).url}/lesson%202.mp4")

    assert caught.value.error_type not in TRANSIENT


@pytest.mark.parametrize("url", ["nginx/app/lesson%202.mp4", "python/", "caddy/notes.html"])
def test_a_page_in_place_of_a_file(url, start, download):
    kind, _, path = url.partition("/")

    with pytest.raises(NotAFile, match="HTML page"):
        download.run(f"{start(kind).url}/{path}")

    assert download.files() == {}


@pytest.mark.parametrize("kind", ["nginx", "apache"])
def test_a_file_under_the_label_of_a_page_is_a_file(kind, start, download):
    download.run(f"{start(kind).url}/as-page/{quote(LESSON)}")

    assert download.files() == {LESSON: FILES[LESSON]}


@pytest.mark.parametrize("kind", ["nginx", "apache"])
def test_what_is_coded_against_the_request_is_decoded_or_refused(kind, start, download):
    url = f"{start(kind).url}/gzipped/plain.txt"

    refused = ""
    try:
        download.run(url)
    except BadAnswer as error:
        refused = str(error)

    assert download.files() == ({} if refused else {"plain.txt": FILES["plain.txt"]})
    assert not refused or re.search("gzip|Content-Encoding", refused)


def test_the_name_that_nginx_gives(start, download):
    download.run(f"{start('nginx').url}/named")

    assert download.files() == {"bài 1.txt": FILES["plain.txt"]}


def test_a_cookie_that_nginx_sets_by_a_redirect(start, download):
    download.run(f"{start('nginx').url}/signed/{quote(LESSON)}")

    assert download.files() == {LESSON: FILES[LESSON]}


@pytest.mark.parametrize(("place", "status", "waits"), [("few", 429, 7), ("fewer", 503, None)])
def test_a_server_that_limits_the_rate_is_waited_for(place, status, waits, start, download):
    url = f"{start('nginx').url}/{place}/plain.txt"

    with pytest.raises(StatusRefused, match=f"HTTP {status}") as caught:
        [download.run(url) for _ in range(3)]

    assert caught.value.error_type is ErrorType.NETWORK
    assert caught.value.retry_after == waits


def test_a_private_course_of_nginx(start, download):
    url = f"{start('nginx').url}/private/plain.txt"

    with pytest.raises(StatusRefused, match="HTTP 401") as caught:
        download.run(url)
    download.run(url.replace("//", f"//{quote('stu@dent')}:{quote('pa/ss %1', safe='')}@"), attempt=2)

    assert caught.value.error_type is ErrorType.AUTHENTICATION
    assert download.files() == {"plain.txt": FILES["plain.txt"]}
