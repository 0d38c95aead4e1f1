"""Resolve a host name to addresses to which a download may connect.

A name is resolved once and every address is checked. The connection then goes to a checked address and the
name is not resolved again, so changing the name's address in between (DNS rebinding) has no effect.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from orderctl.downloads.errors import AddressRefused, HostUnreachable

Address = IPv4Address | IPv6Address
#: Family and socket address, as ``socket.connect`` takes them.
Target = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]
#: What to do where an address is refused.
HINT = (
    "set download.allow_private_hosts = true and start the workers again to allow it,"
    " or start them with: ORDERCTL_DOWNLOAD_ALLOW_PRIVATE_HOSTS=1 orderctl worker start"
)


def _networks(*texts: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(map(ip_network, texts))


# IANA's registries of special-purpose addresses (RFC 6890) as of 2025. What is not globally reachable:
_NOT_PUBLIC_4 = _networks(
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",
)  # fmt: skip
_NOT_PUBLIC_6 = _networks("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
# What is globally reachable inside of those.
_PUBLIC_4 = _networks("192.0.0.9/32", "192.0.0.10/32")
_PUBLIC_6 = _networks(
    "2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:3::/32", "2001:4:112::/48", "2001:20::/28", "2001:30::/28"
)  # fmt: skip
#: All addresses outside are special: loopback, link-local, private, multicast, or not assigned to any use.
_UNICAST = _networks("2000::/3")
#: A translator passes these on to the IPv4 address in their last 32 bits: mapped addresses, and NAT64.
_TRANSLATED = _networks("::ffff:0:0/96", "64:ff9b::/96")
#: The upper half of an interface identifier of ISATAP (RFC 5214), without the bit that says "globally unique".
_ISATAP, _ISATAP_MASK = 0x00005EFE, 0xFDFFFFFF


def resolve(host: str, port: int, *, allow_private: bool) -> list[Target]:
    """Return all addresses of a host, in the system's order of preference.

    Raises:
        HostUnreachable: The name has no address.
        AddressRefused: At least one of the addresses is not public.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise HostUnreachable(f"cannot resolve {host}: {error.strerror or error}") from None
    targets: list[Target] = [(family, address) for family, _, _, _, address in found]  # type: ignore[misc]
    for _, address in targets:
        if not allow_private and not is_public(_address(address[0])):
            raise AddressRefused(
                f"{host} has the address {address[0]}, which is not public",
                hint=HINT,
            )
    return targets


def is_public(address: Address) -> bool:
    """Whether an address, or the IPv4 address embedded in it, belongs to the public internet.

    Python's own ``is_global`` is not asked: its table is another one in each version.
    """
    if isinstance(address, IPv4Address):
        return not _within(address, _NOT_PUBLIC_4) or _within(address, _PUBLIC_4)
    carried = _carried(address)
    if carried is not None and not is_public(carried):
        return False
    if _within(address, _TRANSLATED):
        return True
    return _within(address, _UNICAST) and (not _within(address, _NOT_PUBLIC_6) or _within(address, _PUBLIC_6))


def private_literal(host: str) -> bool:
    """Whether a host is an address that is not public, in any spelling, or ``localhost``; without asking DNS."""
    if host.rstrip(".").lower().rpartition(".")[2] == "localhost":
        return True
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return False
    return not all(is_public(_address(sockaddr[0])) for *_, sockaddr in found)


def _address(text: object) -> Address:
    return ip_address(str(text).partition("%")[0])


def _within(address: Address, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    return any(address in network for network in networks)


def _carried(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address to which a translator or tunnel forwards traffic for this one, if any."""
    if _within(address, _TRANSLATED) or (int(address) >> 32) & _ISATAP_MASK == _ISATAP:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None
