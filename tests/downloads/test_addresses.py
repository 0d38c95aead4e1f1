"""The addresses to which downloads connect."""

import socket
from ipaddress import ip_address, ip_network

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


#: The rows of IANA's registries of special-purpose addresses, with the column "Globally Reachable"; None: N/A.
REGISTRY = [
    ("0.0.0.0/8", False), ("0.0.0.0/32", False), ("10.0.0.0/8", False), ("100.64.0.0/10", False),
    ("127.0.0.0/8", False), ("169.254.0.0/16", False), ("172.16.0.0/12", False), ("192.0.0.0/24", False),
    ("192.0.0.0/29", False), ("192.0.0.8/32", False), ("192.0.0.9/32", True), ("192.0.0.10/32", True),
    ("192.0.0.170/32", False), ("192.0.0.171/32", False), ("192.0.2.0/24", False), ("192.31.196.0/24", True),
    ("192.52.193.0/24", True), ("192.88.99.0/24", None), ("192.168.0.0/16", False), ("192.175.48.0/24", True),
    ("198.18.0.0/15", False), ("198.51.100.0/24", False), ("203.0.113.0/24", False), ("240.0.0.0/4", False),
    ("255.255.255.255/32", False),
    ("::1/128", False), ("::/128", False), ("::ffff:0:0/96", False), ("64:ff9b::/96", True),
    ("64:ff9b:1::/48", False), ("100::/64", False), ("100:0:0:1::/64", False), ("2001::/23", False),
    ("2001::/32", None), ("2001:1::1/128", True), ("2001:1::2/128", True), ("2001:1::3/128", True),
    ("2001:2::/48", False), ("2001:3::/32", True), ("2001:4:112::/48", True), ("2001:10::/28", None),
    ("2001:20::/28", True), ("2001:30::/28", True), ("2001:db8::/32", False), ("2002::/16", None),
    ("2620:4f:8000::/48", True), ("3fff::/20", False), ("5f00::/16", False), ("fc00::/7", False),
    ("fe80::/10", False),
]  # fmt: skip
#: Not in these registries: multicast, site-local addresses, the compatible ones, and space that is not assigned.
OTHERS = ["224.0.0.0/4", "ff00::/8", "fec0::/10", "::/96", "::ffff:0:0:0/96", "4000::/3", "8000::/1"]
#: Blocks whose addresses are as public as the IPv4 address in them.
TRANSLATED = ["::ffff:0:0/96", "64:ff9b::/96"]


def nearest(address):
    """Return what the registry says of an address: the row with the longest prefix decides."""
    rows = [(ip_network(text), reachable) for text, reachable in REGISTRY]
    found = [(network.prefixlen, reachable) for network, reachable in rows if address in network]
    return bool(max(found, default=(0, True))[1])


@pytest.mark.parametrize("block", [text for text, _ in REGISTRY if text not in TRANSLATED])
def test_a_block_of_the_registry_is_public_where_it_is_globally_reachable(block):
    network = ip_network(block)
    for address in (network[0], network[-1], network[network.num_addresses // 2]):
        assert addresses.is_public(address) == nearest(address), address


@pytest.mark.parametrize(
    "block", [text for text, _ in REGISTRY if text.partition(":")[0] not in ("", "64", "100")]
)
def test_the_registrys_blocks_end_where_they_should(block):
    """Outside of a block the next one decides, or the address is public if it can be assigned to a host."""
    network = ip_network(block)
    for number in (int(network[0]) - 1, int(network[-1]) + 1):
        if (
            0
            < number
            < int(ip_network("224.0.0.0/32")[0] if network.version == 4 else ip_network("4000::/128")[0])
        ):
            address = type(network[0])(number)
            assert addresses.is_public(address) == nearest(address), address


@pytest.mark.parametrize("block", OTHERS)
def test_other_special_blocks_are_not_public(block):
    network = ip_network(block)
    for address in (network[0], network[-1], network[network.num_addresses // 2]):
        assert not addresses.is_public(address), address


@pytest.mark.parametrize("prefix", ["::ffff:", "64:ff9b::"])
@pytest.mark.parametrize("block", [text for text, _ in REGISTRY if ":" not in text])
def test_an_address_that_is_translated_is_as_public_as_its_target(prefix, block):
    for address in (ip_network(block)[0], ip_network(block)[-1]):
        assert addresses.is_public(ip_address(f"{prefix}{address}")) == nearest(address)


@pytest.mark.parametrize("tunnel", ["2606:4700::5efe:", "2606:4700::200:5efe:"])
def test_a_tunnel_into_a_private_network_is_not_public(tunnel):
    assert not addresses.is_public(ip_address(f"{tunnel}10.0.0.1"))
    assert addresses.is_public(ip_address(f"{tunnel}1.1.1.1"))


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("127.0.0.1", True), ("::1", True), ("localhost", True), ("LOCALHOST.", True), ("a.localhost", True),
        ("127.1", True), ("2130706433", True), ("0x7f.1", True), ("0", True), ("10.0.0.1", True), ("fe80::1%1", True),
        ("::ffff:10.0.0.1", True), ("1.1.1.1", False), ("2606:4700::1111", False), ("example.com", False),
        ("localhost.example.com", False), ("", False), ("a" * 300, False),
    ],
)  # fmt: skip
def test_a_host_that_is_literally_private_is_noticed_without_dns(host, private):
    assert addresses.private_literal(host) is private


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
    assert caught.value.transient
