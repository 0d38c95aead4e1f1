"""TLS to Redis: what each option does, and which is named when it cannot be used."""

import ssl

import pytest

from orderctl import redis_tls
from orderctl.redis_tls import Tls


@pytest.mark.parametrize(
    ("tls", "match"),
    [
        (Tls(ca_certs="/none"), "ssl_ca_certs: cannot use /none: No such file"),
        (Tls(ca_certs=__file__), "ssl_ca_certs: cannot use .*no certificate or crl"),
        (Tls(ca_path="/none"), "ssl_ca_path: cannot use /none: No such file"),
        (Tls(ca_data="x"), "ssl_ca_data"),
        (Tls(certfile="/none"), "ssl_certfile: cannot use /none: No such file"),
        (Tls(certfile=__file__, keyfile=__file__), "ssl_certfile or ssl_keyfile"),
        (Tls(ciphers="nonsense"), "ssl_ciphers"),
    ],
)
def test_an_option_of_tls_that_cannot_be_used_is_named(tls, match):
    with pytest.raises(ValueError, match=f"(?i){match}"):
        redis_tls.context(tls)


def test_tls_verifies_the_server_unless_it_is_asked_not_to():
    strict, lax = redis_tls.context(Tls()), redis_tls.context(Tls(cert_reqs="none"))

    assert (strict.check_hostname, strict.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert (lax.check_hostname, lax.verify_mode) == (False, ssl.CERT_NONE)
