"""The addresses to which downloads connect."""

import socket
from ipaddress import ip_address

import pytest

from orderctl.downloads import addresses
from orderctl.downloads.errors import AddressRefused, HostUnreachable
from orderctl.downloads.http import HttpHandler
from orderctl.states import ErrorType
from tests.downloads.conftest import one_file
from tests.servers.scripted import answer


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.255", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "fe80::1", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1", "64:ff9b:1::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe", "::127.0.0.1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public(address):
    assert not addresses.is_public(ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_a_public_address(address):
    assert addresses.is_public(ip_address(address))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.1", "2130706433", "0x7f.1", "0"])
def test_refuses_every_spelling_of_this_machine(download, host):
    download.settings["download.allow_private_hosts"] = "false"

    with pytest.raises(AddressRefused, match="not public") as caught:
        download.run(f"http://{host}:1/a.bin")

    assert "download.allow_private_hosts" in caught.value.hint


@pytest.fixture
def resolver(monkeypatch):
    """Host names with the addresses that they resolve to, one list for each lookup."""
    known = {}
    ask = socket.getaddrinfo

    def resolve(host, port, **options):
        if host not in known:
            return ask(host, port, **options)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in known[host].pop(0)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


@pytest.fixture
def public(monkeypatch):
    """Treat 127.0.0.1, and no other address, as a public one."""
    monkeypatch.setattr(addresses, "is_public", lambda address: str(address) == "127.0.0.1")


@pytest.mark.usefixtures("public")
def test_refuses_a_redirect_into_a_private_network(download, scripted):
    download.settings["download.allow_private_hosts"] = "false"
    inside = scripted(lambda _asked: answer(b"secret"), host="127.0.0.2")
    outside = scripted(lambda _asked: answer(b"", f"Location: {inside.url}/", status="302 Found"))

    with pytest.raises(AddressRefused, match=r"127\.0\.0\.2"):
        download.run(f"{outside.url}/a.bin")

    assert inside.asked == []
    assert len(outside.asked) == 1


@pytest.mark.usefixtures("public")
def test_refuses_a_host_with_a_private_address_among_public_ones(download, resolver):
    download.settings["download.allow_private_hosts"] = "false"
    resolver["mixed.example"] = [["127.0.0.1", "127.0.0.2"]]

    with pytest.raises(AddressRefused):
        download.run("http://mixed.example:1/a.bin")


@pytest.mark.usefixtures("public")
def test_connects_to_the_address_that_was_checked(download, scripted, resolver):
    download.settings["download.allow_private_hosts"] = "false"
    server = scripted(lambda _asked: answer(b"right"))
    resolver["rebind.example"] = [["127.0.0.1"], ["127.0.0.2"]]
    url = server.url.replace("127.0.0.1", "rebind.example") + "/a.bin"
    context = download.context(url)

    HttpHandler(reserve=0).download(context, one_file(url))

    assert download.files() == {"a.bin": b"right"}
    assert server.asked[0].headers["host"].startswith("rebind.example:")
    assert resolver["rebind.example"] == [["127.0.0.2"]]


def test_tries_the_next_address(download, scripted, resolver):
    server = scripted(lambda _asked: answer(b"right"))
    resolver["two.example"] = [["127.0.0.9", "127.0.0.1"]]
    url = server.url.replace("127.0.0.1", "two.example") + "/a.bin"

    HttpHandler(reserve=0).download(download.context(url), one_file(url))

    assert download.files() == {"a.bin": b"right"}


def test_an_unknown_host_is_unreachable(download, monkeypatch):
    def fail(*_args, **_options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    with pytest.raises(
        HostUnreachable, match=r"cannot resolve no-such-host\.invalid: Name or service"
    ) as caught:
        download.run("http://no-such-host.invalid/a.bin")

    assert caught.value.error_type is ErrorType.NETWORK


def test_a_name_that_cannot_be_a_host_is_unreachable(download):
    with pytest.raises(HostUnreachable, match="cannot resolve"):
        download.run(f"http://{'a' * 64}.example/a.bin")
