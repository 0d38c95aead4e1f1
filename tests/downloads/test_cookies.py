"""Cookies that a redirect sets."""

import pytest

from tests.servers.scripted import answer

SET = "Set-Cookie: session=s3cret"


def redirecting(scripted, location, *set_cookie):
    """A server that leads from any path to the location; there, and where a cookie comes, it sends the file."""

    def script(asked):
        if asked.path == "/there" or "cookie" in asked.headers:
            return answer(asked.headers.get("cookie", "none").encode("latin-1"))
        return answer(b"", f"Location: {location}", *set_cookie, status="302 Found")

    return scripted(script)


@pytest.mark.parametrize(
    ("set_cookie", "sent"),
    [
        ([SET], "session=s3cret"),
        ([f"{SET}; Path=/; HttpOnly; SameSite=Lax; Max-Age=60"], "session=s3cret"),
        ([f"{SET}; Expires=Fri, 31 Dec 2199 23:59:59 GMT"], "session=s3cret"),
        ([SET, "Set-Cookie: b=2"], "session=s3cret; b=2"),
        ([f"{SET}; Path=/elsewhere"], "none"),
        ([f"{SET}; Secure"], "none"),
        ([f"{SET}; Domain=example.com"], "none"),
        ([f"{SET}; Max-Age=0"], "none"),
        (["Set-Cookie: junk"], "junk"),
        (["Set-Cookie: a=b\x01"], "none"),
        (["Set-Cookie: a=é"], "a=é"),
        (["Set-Cookie: ="], "none"),
        ([f"Set-Cookie: a={'x' * 9000}"], "none"),
        (
            ["Set-Cookie: a=b\x01", SET, "Set-Cookie: ;;;", "Set-Cookie: \x02=c", "Set-Cookie:"],
            "session=s3cret",
        ),
        ([SET, f"Set-Cookie: a={'x' * 5000}"], "session=s3cret"),
        (
            [SET, *(f"Set-Cookie: {name}={'x' * 4000}" for name in "abc")],
            f"session=s3cret; a={'x' * 4000}; b={'x' * 4000}",
        ),
    ],
)
def test_sends_a_cookie_of_a_redirect_where_it_belongs(download, scripted, set_cookie, sent):
    server = redirecting(scripted, "/there", *set_cookie)

    download.run(f"{server.url}/a.bin")

    assert download.files() == {"a.bin": sent.encode()}


def test_goes_back_to_where_a_login_came_from(download, scripted):
    """Without the cookie this is a loop."""
    server = redirecting(scripted, "/a.bin", SET)

    download.run(f"{server.url}/a.bin")

    assert download.files() == {"a.bin": b"session=s3cret"}


@pytest.mark.parametrize("host", ["127.0.0.2", "localhost"])
def test_another_host_gets_none(download, scripted, host):
    other = scripted(lambda _asked: answer(b"x"), host=host)
    server = redirecting(scripted, f"{other.url}/there", SET)

    download.run(f"{server.url}/a.bin")

    assert "cookie" not in other.asked[0].headers


def test_the_next_request_has_none(download, scripted):
    server = redirecting(scripted, "/there", SET)

    download.run(f"{server.url}/a.bin")

    assert ["cookie" in asked.headers for asked in server.asked] == [False, True] * 2
