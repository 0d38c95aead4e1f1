"""Resolve a host name to addresses to which a download may connect.

A name is resolved once and every address is checked. The connection then goes to a checked address and the
name is not resolved again, so changing the name's address in between (DNS rebinding) has no effect.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from orderctl.downloads.errors import AddressRefused, HostUnreachable

Address = IPv4Address | IPv6Address
#: Family and socket address, as ``socket.connect`` takes them.
Target = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]

_NAT64 = IPv6Network("64:ff9b::/96")


def resolve(host: str, port: int, *, allow_private: bool) -> list[Target]:
    """Return all addresses of a host, in the system's order of preference.

    Raises:
        HostUnreachable: The name has no address.
        AddressRefused: At least one of the addresses is not public.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise HostUnreachable(f"cannot resolve {host}: {getattr(error, 'strerror', None) or error}") from None
    targets: list[Target] = [(family, address) for family, _, _, _, address in found]  # type: ignore[misc]
    for _, address in targets:
        if not allow_private and not is_public(ip_address(address[0].partition("%")[0])):
            raise AddressRefused(
                f"{host} has the address {address[0]}, which is not public",
                hint="set download.allow_private_hosts = true to download from private networks",
            )
    return targets


def is_public(address: Address) -> bool:
    """Whether an address, or the IPv4 address embedded in it, belongs to the public internet."""
    carried = _carried(address) if isinstance(address, IPv6Address) else None
    if carried is not None:
        return is_public(carried)
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _carried(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address to which a translator or tunnel forwards traffic for this one, if any."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour  # Teredo's range is never global
