"""HTTPS: the server's certificate is checked against its name, although the connection uses an address."""

import datetime as dt
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from orderctl.downloads.errors import CertificateRefused, ConnectionBroken, UrlRefused
from orderctl.downloads.http import HttpHandler
from orderctl.states import ErrorType
from tests.servers.scripted import answer


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return certify(tmp_path_factory.mktemp("tls") / "server.pem")


def certify(path, days=1):
    """Write a self-signed certificate for 127.0.0.1 with its key, valid until that number of days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "courses")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=30))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture
def serving(authority):
    """The server's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    return context


@pytest.fixture
def handler(authority):
    """A handler that trusts the authority."""
    return HttpHandler(reserve=0, tls=ssl.create_default_context(cafile=str(authority)))


def test_downloads_over_tls(download, scripted, serving, handler):
    server = scripted(lambda _asked: answer(b"x" * 1_000_000), tls=serving)

    download.run(f"{server.url}/a.bin", handler=handler)

    assert download.files() == {"a.bin": b"x" * 1_000_000}


def test_refuses_an_unknown_certificate_authority(download, scripted, serving):
    server = scripted(lambda _asked: answer(b"x"), tls=serving)

    with pytest.raises(CertificateRefused, match="self-signed") as caught:
        download.run(f"{server.url}/a.bin")

    assert caught.value.error_type is ErrorType.REFUSED
    assert not caught.value.transient
    assert server.asked == []


def test_an_expired_certificate_is_an_outage_until_it_is_renewed(download, scripted, tmp_path):
    expired = certify(tmp_path / "expired.pem", days=-1)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(expired)
    server = scripted(lambda _asked: answer(b"x"), tls=serving)
    handler = HttpHandler(reserve=0, tls=ssl.create_default_context(cafile=str(expired)))

    with pytest.raises(CertificateRefused, match="expired") as caught:
        download.run(f"{server.url}/a.bin", handler=handler)

    assert caught.value.transient


def test_refuses_a_certificate_of_another_host(download, scripted, serving, handler):
    server = scripted(lambda _asked: answer(b"x"), tls=serving)

    with pytest.raises(CertificateRefused, match="localhost"):
        download.run(f"{server.url.replace('127.0.0.1', 'localhost')}/a.bin", handler=handler)

    assert server.asked == []


def test_a_server_that_does_not_speak_tls_is_a_broken_connection(download, scripted, handler):
    server = scripted(lambda _asked: answer(b"x"))

    with pytest.raises(ConnectionBroken):
        download.run(f"{server.url.replace('http:', 'https:')}/a.bin", handler=handler)


def test_refuses_a_redirect_from_https_to_http(download, scripted, serving, handler):
    plain = scripted(lambda _asked: answer(b"x"))
    server = scripted(lambda _asked: answer(b"", f"Location: {plain.url}/", status="302 Found"), tls=serving)

    with pytest.raises(UrlRefused, match="from https to http"):
        download.run(f"{server.url}/a.bin", handler=handler)

    assert plain.asked == []


def test_a_truncated_body_over_tls_is_broken(download, scripted, serving, handler):
    server = scripted(lambda _asked: answer(b"x" * 1000, length=5000), tls=serving)

    with pytest.raises(ConnectionBroken):
        download.run(f"{server.url}/a.bin", handler=handler)

    assert download.files() == {}
