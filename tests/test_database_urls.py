"""URLs of databases: what is allowed, and a refusal that names the option and shows no secret."""

import pytest

from orderctl import database_urls, settings
from orderctl.database_urls import parse, read, tls_mode
from orderctl.errors import Misconfigured

SERVER = "mysql://shop:geheim@db.example/shop"

WRONG = [
    ("x", "needs mysql://user:password@host/name, mariadb://... or sqlite:///file"),
    ("geheim@mysql", "needs mysql://"),
    ("postgresql://shop:geheim@h/d", "not postgresql://"),
    ("mysql+mysqldb://shop:geheim@h/d", r"not mysql\+mysqldb://"),
    ("mysql+aiomysql://shop:geheim@h/d", "not mysql"),
    ("shop:geheim@h://d", "needs a mysql://, mariadb:// or sqlite:/// URL"),
    ("mysql://shop:geheim@h", "the database's name"),
    ("mysql://shop:geheim@h/", "the database's name"),
    ("mysql:///d", "a host and a valid port.*unix_socket"),
    ("mysql://shop:geheim@/d", "a host and a valid port"),
    ("mysql://shop:geheim@h:0/d", "1 to 65535"),
    ("mysql://shop:geheim@h:65536/d", "1 to 65535"),
    ("mysql://shop:geheim@h:99999999999999999999/d", "1 to 65535"),
    ("mysql://shop:geheim@h:abc/d", "1 to 65535"),
    ("mysql://shop:geheim@h:٣/d", "1 to 65535"),
    ("mysql://shop:geh@eim@h/d", "written as %40"),
    ("mysql://shop:a@geheim?b=c@h/d", "written as %40"),
    ("mysql://shop:geheim@[h]/d", "is not valid"),
    ("mysql://shop:geheim@a..b/d", "a host and a valid port"),
    (f"mysql://shop:geheim@{'a' * 70}/d", "a host and a valid port"),
    ("mysql://shop:geheim@a b/d", "without spaces"),
    ("mysql://shop:geheim%00@h/d", "without control characters"),
    ("mysql://shop:geheim\ud800@h/d", "in UTF-8"),
    (f"{SERVER}?timezone=%2B07:00", "option timezone is not allowed: sessions are always in UTC"),
    (f"{SERVER}?charset=latin1", "option charset: needs utf8mb4"),
    (f"{SERVER}?charset=", "option charset: needs utf8mb4"),
    (f"{SERVER}?ssl-mode=on", "option ssl-mode: needs one of DISABLED, PREFERRED"),
    (f"{SERVER}?ssl=maybe", "option ssl: needs true or false"),
    (f"{SERVER}?ssl-ca=", "option ssl-ca: needs the path"),
    (f"{SERVER}?read_timeout=abc", "option read_timeout: needs a whole number of seconds"),
    (f"{SERVER}?connect_timeout=0", "option connect_timeout: needs a whole number of seconds"),
    (f"{SERVER}?write_timeout=1e9", "option write_timeout"),
    (f"{SERVER}?local_infile=1", "option local_infile is not allowed; the options are charset"),
    (f"{SERVER}?password=geheim", "option password is not allowed"),
    (f"{SERVER}?ssl=true&ssl=false", "given twice"),
    (f"{SERVER}?ssl-ca=/a&ssl_ca=/b", "given twice"),
    (f"{SERVER}?ssl=true&ssl-mode=disabled", "exclude each other"),
    (f"{SERVER}?ssl=false&ssl-mode=required", "exclude each other"),
    (f"{SERVER}?ssl-mode=disabled&ssl-ca=/ca.pem", "exclude each other"),
    (f"{SERVER}?ssl-cert=/c.pem", "need each other"),
    (f"{SERVER}?unix_socket=relative", "absolute path"),
    ("sqlite://x.db", "three slashes"),
    ("sqlite://", "in memory"),
    ("sqlite:///:memory:", "in memory"),
    ("sqlite:///x.db?mode=ro", "takes no options, but it has mode"),
    ("sqlite:///x.db?timeout=abc&uri=true", "timeout, uri"),
    ("sqlite:///x%00.db", "control characters"),
]


@pytest.mark.parametrize(("url", "complaint"), WRONG, ids=[ascii(row[0]) for row in WRONG])
def test_a_wrong_url_is_refused_without_its_password(url, complaint):
    with pytest.raises(Misconfigured, match=complaint) as caught:
        settings.load(environ={"ORDERCTL_DATABASE_URL": url})

    assert str(caught.value).startswith("setting database.url (environment ORDERCTL_DATABASE_URL): ")
    assert "geheim" not in str(caught.value)


def test_parts_may_have_special_characters():
    found = parse("mariadb://b%40n:a#/?:%25m%E1%BA%ADt@[::1]:3307/my%20shop?ssl-mode=verify_ca&SSL-CA=/a%26b")

    assert (found.driver, found.user, found.password) == ("mariadb+pymysql", "b@n", "a#/?:%mật")
    assert (found.host, found.port, found.name) == ("::1", 3307, "my shop")
    assert found.options == {"ssl_mode": "VERIFY_CA", "ssl_ca": "/a&b"}
    assert "mật" not in repr(found)


def test_a_setting_gets_the_driver_that_is_installed():
    assert read("mysql://h/d?ssl=true") == "mysql+pymysql://h/d?ssl=true"
    assert read("mysql:///d?unix_socket=/run/s") == "mysql+pymysql:///d?unix_socket=/run/s"
    assert read("sqlite:////a%20b/c.db") == "sqlite:////a%20b/c.db"
    assert database_urls.parse("sqlite:////a%20b/c.db").name == "/a b/c.db"


@pytest.mark.parametrize(
    ("query", "mode"),
    [
        ("", "PREFERRED"),
        ("ssl=true", "REQUIRED"),
        ("ssl=off", "DISABLED"),
        ("ssl-mode=required", "REQUIRED"),
        ("ssl_ca=/a", "VERIFY_CA"),
        ("ssl_ca=/a&ssl_mode=VERIFY_IDENTITY", "VERIFY_IDENTITY"),
        ("ssl_ca=/a&ssl_verify_cert=false", "REQUIRED"),
        ("ssl_verify_identity=true", "VERIFY_IDENTITY"),
        ("ssl-cert=/a&ssl-key=/b", "REQUIRED"),
    ],
)
def test_the_mode_of_tls_follows_the_options(query, mode):
    assert tls_mode(parse(f"{SERVER}?{query}").options) == mode
