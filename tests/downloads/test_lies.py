"""A server that lies in every way of the tables, and then becomes honest."""

import hashlib
import os
import re
import socket

import pytest

from orderctl.downloads import names
from orderctl.downloads.errors import DownloadError
from orderctl.downloads.http import HttpHandler
from orderctl.states import TRANSIENT
from tests.downloads.conftest import one_file
from tests.downloads.lies.bodies import CHUNKS, CODINGS, LENGTHS
from tests.downloads.lies.heads import HEADS, SLOW
from tests.downloads.lies.names import NAMES
from tests.downloads.lies.pages import PAGES
from tests.downloads.lies.ranges import CONDITIONS, RANGES
from tests.downloads.lies.redirects import COOKIES, REDIRECTS
from tests.downloads.lies.row import BODY, HALF, SIZE, Completes, honest
from tests.downloads.lies.statuses import STATUSES, WAITS
from tests.servers.scripted import ScriptedServer

TABLES = {
    "ranges": RANGES,
    "conditions": CONDITIONS,
    "names": NAMES,
    "codings": CODINGS,
    "lengths": LENGTHS,
    "chunks": CHUNKS,
    "heads": HEADS,
    "slow": SLOW,
    "statuses": STATUSES,
    "waits": WAITS,
    "pages": PAGES,
    "redirects": REDIRECTS,
    "cookies": COOKIES,
}


def is_done(lie):
    return isinstance(lie.ends, Completes)


ROWS = [
    pytest.param(lie, id=f"{table}-{name}"[:90])
    for table, rows in TABLES.items()
    for name, lie in rows.items()
]


@pytest.fixture(scope="module", autouse=True)
def home():
    """Not a home for each test, as elsewhere: there are many tests here, and they start no process."""


@pytest.fixture
def liar():
    server = ScriptedServer(honest).start()
    yield server
    server.close()


@pytest.fixture
def attempt(download, liar, monkeypatch):
    """``attempt(lie, number)`` runs one attempt; hosts in ``.test`` are this machine."""
    lookup = socket.getaddrinfo

    def resolve(host, *arguments, **options):
        ours = str(host).rstrip(".").endswith(".test") and len(host) < 255
        return lookup("127.0.0.1" if ours else host, *arguments, **options)

    def run(lie, number, *, hurried=False):
        download.settings["download.timeout_seconds"] = "0.2" if hurried else "60"
        handler = HttpHandler(reserve=0, window=0.2 if hurried else 60)
        context = download.context(liar.url + lie.path, attempt=number)
        if not lie.known:
            return handler.download(context, handler.enroll(context))
        known = dict(lie.known)
        if known.get("sha256"):
            body = lie.ends.body if is_done(lie) else BODY
            known["sha256"] = hashlib.sha256(body).hexdigest()
        return handler.download(context, one_file(context.course_url, names.of_url(lie.path), **known))

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)  # it would be half of the tests' time
    return run


@pytest.mark.parametrize("lie", ROWS)
def test_a_lie_ends_as_it_should_and_spoils_no_later_attempt(lie, attempt, download, liar):
    if lie.conditional is not None:
        liar.script = honest
        attempt(lie, 1)
    liar.script = lie.script

    if is_done(lie):
        complete(lie, attempt)
        assert download.files() == {lie.ends.name or names.of_url(lie.path): lie.ends.body}
        assert not (lie.ends.wholly and "range" in liar.asked[-1].headers)
    else:
        check_failure(lie, attempt, download)

    if lie.known and (lie.known.get("size", SIZE) != SIZE or (is_done(lie) and lie.ends.body != BODY)):
        return  # what the manifest promises is no longer there
    liar.script = honest
    attempt(lie, 3)
    assert download.files()[names.of_url(lie.path)] == BODY


@pytest.mark.parametrize("lie", [pytest.param(lie, id=name) for name, lie in RANGES.items() if is_done(lie)])
def test_a_part_of_an_earlier_attempt_is_no_obstacle(lie, attempt, download, liar):
    liar.script = lambda asked: honest(asked)[:-HALF] if asked.count <= lie.breaks else b""
    with pytest.raises(DownloadError):
        attempt(lie, 1)
    liar.asked.clear()
    liar.script = lie.script

    complete(lie, attempt)

    assert download.files() == {"a.bin": BODY}


def complete(lie, attempt):
    """Run attempts until one completes the download."""
    for _ in range(lie.ends.attempts - 1):
        try:
            attempt(lie, 2)
        except DownloadError as error:
            transient = is_transient(error)
        else:
            return
        assert transient
    attempt(lie, 2)


def is_transient(error):
    said = getattr(error, "transient", None)
    return error.error_type in TRANSIENT if said is None else said


def check_failure(lie, attempt, download):
    with pytest.raises(DownloadError) as caught:
        attempt(lie, 2, hurried=lie.hurried)
    error = caught.value
    assert re.search(lie.ends.words, f"{error} {error.hint}", re.DOTALL)
    assert isinstance(error, lie.ends.error), repr(error)
    assert download.files() == {}
    assert lie.ends.transient in {None, is_transient(error)}, repr(error)
    wait = getattr(error, "retry_after", None)
    if lie.ends.waits is None:
        assert wait is None
    else:
        assert wait is not None
        assert lie.ends.waits[0] <= wait <= lie.ends.waits[1]
