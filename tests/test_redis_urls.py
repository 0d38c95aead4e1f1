"""The URL of Redis: each odd one is read in one way, or refused with what is allowed."""

import ssl

import pytest

from orderctl import broker, redis_urls, setting_types
from orderctl.errors import Misconfigured
from orderctl.redis_tls import Tls
from orderctl.redis_urls import Endpoint

SECRET = "Geheimnis"


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("redis://h", Endpoint("h")),
        ("redis://h:", Endpoint("h")),
        ("redis://h/", Endpoint("h")),
        ("redis://h:7/3", Endpoint("h", 7, db=3)),
        ("redis://h/3/", Endpoint("h", db=3)),
        ("redis://h?db=3", Endpoint("h", db=3)),
        ("redis://h/3?db=3", Endpoint("h", db=3)),
        ("REDIS://h", Endpoint("h")),
        ("valkey://h", Endpoint("h")),
        ("valkeys://h", Endpoint("h", tls=Tls())),
        ("redis://u@h", Endpoint("h", username="u", password="")),
        ("redis://u:@h", Endpoint("h", username="u", password="")),
        ("redis://:p@h", Endpoint("h", password="p")),
        ("redis://:@h", Endpoint("h")),
        ("redis://u:p@h", Endpoint("h", username="u", password="p")),
        ("redis://u:p@ss:w@h", Endpoint("h", username="u", password="p@ss:w")),
        ("redis://u%40x:p%2F%3F%23%25%20@h", Endpoint("h", username="u@x", password="p/?#% ")),
        ("redis://:p%C3%BC@h", Endpoint("h", password="pü")),
        ("redis://h?password=p", Endpoint("h", password="p")),
        ("redis://u@h?password=p", Endpoint("h", username="u", password="p")),
        ("redis://h?username=u&password=p", Endpoint("h", username="u", password="p")),
        ("redis://[::1]:7/1", Endpoint("::1", 7, db=1)),
        ("redis://[fe80::1%25eth0]", Endpoint("fe80::1%eth0")),
        ("redis://h?socket_timeout=9&retry_on_error=x&protocol=3&client_name=", Endpoint("h")),
        ("unix:///a/s", Endpoint(path="/a/s")),
        ("unix:///a b/s?db=2", Endpoint(path="/a b/s", db=2)),
        ("unix:///a%20b/%3Fs", Endpoint(path="/a b/?s")),
        (f"unix:///{'s' * 106}", Endpoint(path=f"/{'s' * 106}")),
        ("unix://u:p@/a/s", Endpoint(path="/a/s", username="u", password="p")),
        ("unix://:p@/a/s", Endpoint(path="/a/s", password="p")),
        ("rediss://h?ssl_cert_reqs=CERT_NONE", Endpoint("h", tls=Tls(cert_reqs="none"))),
        ("rediss://h?ssl_cert_reqs=optional", Endpoint("h", tls=Tls(cert_reqs="optional"))),
        ("rediss://h?ssl_check_hostname=False", Endpoint("h", tls=Tls(check_hostname=False))),
        ("rediss://h?ssl_min_version=1.3", Endpoint("h", tls=Tls(min_version=ssl.TLSVersion.TLSv1_3))),
        ("rediss://h?ssl_certfile=/c&ssl_keyfile=/k", Endpoint("h", tls=Tls(certfile="/c", keyfile="/k"))),
        (
            "rediss://h?ssl_exclude_verify_flags=VERIFY_X509_STRICT",
            Endpoint("h", tls=Tls(exclude_verify_flags=("VERIFY_X509_STRICT",))),
        ),
    ],
)
def test_a_url_is_read(url, endpoint):
    assert redis_urls.parse(url) == endpoint
    assert setting_types.redis_url(url) == url


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("", "needs redis://"),
        ("h:6379", "needs redis://"),
        ("http://h", "not http://"),
        ("redis+sentinel://h", "not redis\\+sentinel://"),
        ("redis://", "host"),
        ("redis:///0", "host"),
        ("redis://:p@", "host"),
        ("redis://h:0", "port"),
        ("redis://h:70000", "port"),
        ("redis://h:abc", "port"),
        ("redis://h:٣", "port"),
        ("redis://::1:6379", "port"),
        ("redis://a b", "host"),
        ("redis://a%20b", "without spaces"),
        ("redis://h/abc", "number as database"),
        ("redis://h/3/x", "number as database"),
        ("redis://h/1/2", "number as database"),
        ("redis://h/-1", "number as database"),
        ("redis://h?db=", "db needs a number"),
        ("redis://h?db=-1", "db needs a number"),
        ("redis://h?db=1&db=2", "twice"),
        ("redis://h/0?db=3", "exclude each other"),
        ("redis://h ", "spaces at its end"),
        ("redis://h\n", "spaces at its end"),
        ("redis://h#0", "host"),
        (f"redis://:{SECRET}/x@h", "%2F"),
        (f"redis://:{SECRET}#x@h", "%23"),
        (f"redis://:{SECRET}%ff@h", "UTF-8"),
        (f"redis://:{SECRET}@h?password={SECRET}", "exclude each other"),
        (f"redis://h?passwd={SECRET}", "unknown option 'passwd'"),
        ("redis://h?connection_class=x", "unknown option"),
        ("redis://h?host=x", "before the port"),
        ("redis://h?ssl=true", "rediss://"),
        ("redis://h?ssl_cert_reqs=none", "needs rediss://"),
        ("unix:///s?ssl_cert_reqs=none", "needs rediss://"),
        ("rediss://h?ssl_cert_reqs=0", "none, optional or required"),
        ("rediss://h?ssl_check_hostname=maybe", "true or false"),
        ("rediss://h?ssl_min_version=1.0", "1.2 or 1.3"),
        ("rediss://h?ssl_keyfile=/k", "needs ssl_certfile"),
        ("rediss://h?ssl_ca_certs=", "ssl_ca_certs is empty"),
        ("rediss://h?ssl_validate_ocsp=true", "OCSP"),
        ("rediss://h?ssl_include_verify_flags=X", "VERIFY_"),
        ("unix:/a", "needs redis://"),
        ("unix://a/b", "absolute path"),
        ("unix://", "absolute path"),
        ("unix:///", "absolute path"),
        ("unix:///a%00b", "absolute path"),
        (f"unix:///{'s' * 107}", "at most 107 bytes"),
        (f"unix:///{'%C3%BC' * 54}", "at most 107 bytes"),
    ],
)
def test_a_url_is_refused(url, match):
    with pytest.raises(ValueError, match=match) as caught:
        setting_types.redis_url(url)
    assert SECRET not in str(caught.value)

    for make in (broker.brisk, broker.hasty, broker.patient):
        with pytest.raises(Misconfigured, match=r"redis\.url"):
            make(url)


def test_a_password_is_not_in_the_representation():
    assert SECRET not in repr(redis_urls.parse(f"rediss://u:{SECRET}@h?ssl_certfile=c&ssl_password={SECRET}"))
