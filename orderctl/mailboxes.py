"""E-mail addresses, read strictly: what passes here can be sent to a mail server, and is one address."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from orderctl import hostnames

#: RFC 5321, 4.5.3.1: bytes of a local part, and of an address in a path of 256 bytes with its brackets.
_LONGEST_LOCAL: Final = 64
_LONGEST: Final = 254
#: RFC 5322, 3.2.3, and all beyond ASCII by RFC 6532, 3.2.
_ATOM: Final = r"""[^\s()<>\[\]:;@\\,."]+"""
_DOT_ATOM: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An e-mail address.

    Attributes:
        local: What stands before the @, without quotation marks.
        domain: A host name in ASCII, or an IP address in brackets.
        name: The name that is displayed, if there is one.
    """

    local: str
    domain: str
    name: str = ""

    @property
    def address(self) -> str:
        """The address as the mail server gets it."""
        if _DOT_ATOM.fullmatch(self.local):
            return f"{self.local}@{self.domain}"
        quoted = self.local.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}"@{self.domain}'

    @property
    def is_ascii(self) -> bool:
        """Whether every mail server can read the address; others need SMTPUTF8 (RFC 6531)."""
        return self.local.isascii()


def parse(text: str) -> Mailbox:
    """Read an address, such as ``jo@müller.de``.

    Raises:
        ValueError: It is not one address; the message says why.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"it has more than {_LONGEST} characters")
    local, at, domain = text.rpartition("@")
    if not (at and local and domain):
        raise ValueError("it needs a name, an @ and a domain, such as name@example.com")
    found = Mailbox(_local(local), _domain(domain))
    if len(found.address.encode()) > _LONGEST:
        raise ValueError(f"it is longer than {_LONGEST} bytes")
    return found


def parse_named(text: str) -> Mailbox:
    """Read an address that may have a name before it, such as ``The shop <shop@example.com>``.

    Raises:
        ValueError: It is not one address; the message says why.
    """
    text = text.strip()
    if not text.endswith(">"):
        return parse(text)
    name, opening, address = text[:-1].rpartition("<")
    if not opening:
        raise ValueError("it has a > without a <")
    found = parse(address)
    return Mailbox(found.local, found.domain, _name(name.strip()))


def at_host(local: str, host: str) -> Mailbox:
    """Return the address with this local part on a host.

    Args:
        local: Letters only.
        host: A host name, or an IP address without brackets.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return Mailbox(local, hostnames.to_ascii(host))
    return Mailbox(local, f"[IPv6:{address}]" if ":" in host else f"[{address}]")


def _local(text: str) -> str:
    quoted = _QUOTED.fullmatch(text)
    local = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text
    # Python's parser of headers would decode the words of RFC 2047, which may contain anything.
    if not local.isprintable() or "=?" in local or not (quoted or _DOT_ATOM.fullmatch(local)):
        raise ValueError("what stands before the @ has characters or dots that it cannot have")
    if not local or len(text.encode()) > _LONGEST_LOCAL:
        raise ValueError(f"what stands before the @ needs 1 to {_LONGEST_LOCAL} bytes")
    return local


def _domain(text: str) -> str:
    if text.startswith("[") and text.endswith("]"):
        return _literal(text[1:-1])
    if text.endswith(".") or ":" in text:
        raise ValueError(f"{text!r} is not a domain")
    domain = hostnames.to_ascii(text)
    if domain.rpartition(".")[2].isdigit():
        raise ValueError("an IP address needs brackets: name@[192.0.2.1]")
    return domain


def _literal(text: str) -> str:
    tag, colon, six = text.partition(":")
    try:
        if colon and tag.lower() == "ipv6" and "%" not in six:
            return f"[IPv6:{ipaddress.IPv6Address(six)}]"
        return f"[{ipaddress.IPv4Address(text)}]"
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address; one of version 6 begins with IPv6:") from None


def _name(text: str) -> str:
    quoted = _QUOTED.fullmatch(text)
    name = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text
    several = not quoted and ("<" in name or ">" in name or ("@" in name and "," in name))
    if several or not name.isprintable():
        raise ValueError("it is more than one address, or has control characters")
    return name
