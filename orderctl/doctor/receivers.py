"""The receivers of webhooks: whether each can be reached, by name, connection and certificate. Nothing is delivered."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from orderctl import texts, webhook_endpoints
from orderctl.deadlines import Begun
from orderctl.doctor.ahead import Peers
from orderctl.doctor.checks import Area, Check, Verdict
from orderctl.doctor.surroundings import Surroundings
from orderctl.downloads import urls
from orderctl.downloads.errors import UrlRefused
from orderctl.downloads.urls import Url
from orderctl.relay import access
from orderctl.webhook_endpoints import Endpoint

_AREA: Final = Area.WEBHOOKS
#: Days before its end in which a certificate is named.
_SOON_DAYS: Final = 14


@dataclass(frozen=True, slots=True)
class Reach:
    """What came of an attempt to reach a receiver.

    Attributes:
        error: Why it cannot be reached; empty if it can.
        seconds: How long it took.
        days: How long its certificate is still valid; None without one.
    """

    error: str = ""
    seconds: float = 0.0
    days: float | None = None


def look(peers: Peers) -> list[tuple[Endpoint, Reach]]:
    """Connect to each receiver, all at the same time."""
    endpoints = webhook_endpoints.of(peers.settings.notify)
    begun = [Begun(lambda one=one: _reach(one, peers.patience)) for one in endpoints]  # type: ignore[misc]
    end = time.monotonic() + 2 * peers.patience
    return [
        (endpoint, _result(one, end - time.monotonic()))
        for endpoint, one in zip(endpoints, begun, strict=True)
    ]


def _result(begun: Begun[Reach], seconds: float) -> Reach:
    try:
        return begun.result(seconds)
    except TimeoutError:
        return Reach("its name was not resolved, or it did not answer, in time")


def _reach(endpoint: Endpoint, patience: float) -> Reach:
    began = time.monotonic()
    try:
        url = urls.parse(endpoint.url)
        with socket.create_connection((url.host, url.port), patience) as wire:
            days = _certificate_days(wire, url, patience) if url.scheme == "https" else None
    except ssl.SSLCertVerificationError as error:
        return Reach(f"its certificate is not accepted: {error.verify_message}")
    except ssl.SSLError as error:
        return Reach(f"TLS fails: {error.reason or error}")
    except TimeoutError:
        return Reach(f"no answer within {patience:g} s")
    except (UrlRefused, UnicodeError, OSError) as error:
        return Reach(getattr(error, "strerror", None) or str(error) or type(error).__name__)
    return Reach(seconds=time.monotonic() - began, days=days)


def _certificate_days(wire: socket.socket, url: Url, patience: float) -> float | None:
    wire.settimeout(patience)
    with ssl.create_default_context().wrap_socket(wire, server_hostname=url.host) as secure:
        ends = (secure.getpeercert() or {}).get("notAfter")
    return (ssl.cert_time_to_seconds(ends) - time.time()) / 86_400 if isinstance(ends, str) else None


def examine(_around: Surroundings, found: list[tuple[Endpoint, Reach]]) -> Iterator[Check]:
    """Say which receivers can be reached.

    Args:
        _around: What is looked at.
        found: From :func:`look`.
    """
    if not found:
        text = "no endpoints of webhooks are set up (notify.webhook_url, notify.endpoint)"
        yield Check(_AREA, "endpoint", Verdict.SKIPPED, text)
    for endpoint, reach in found:
        yield _endpoint(endpoint, reach)
        yield from _doubts(endpoint, reach)


def _endpoint(endpoint: Endpoint, reach: Reach) -> Check:
    url = urls.parse(endpoint.url)
    where = f"{endpoint.name} ({url.scheme}://{url.authority})"
    if reach.error:
        return Check(
            _AREA,
            "endpoint",
            Verdict.FAULT,
            f"the endpoint {where} cannot be reached: {reach.error}",
            f"orderctl outbox test --endpoint {texts.arguments(endpoint.name)}",
            "Correct its URL, or repair its server; then the command sends a sample. Webhooks wait in the outbox.",
            value=endpoint.name,
        )
    took = reach.seconds * 1000
    text = f"the endpoint {where} can be reached, in {took:.0f} ms"
    return Check(_AREA, "endpoint", Verdict.WELL, text, value=round(took, 1), unit="ms")


def _doubts(endpoint: Endpoint, reach: Reach) -> Iterator[Check]:
    url = urls.parse(endpoint.url)
    if reach.days is not None and reach.days < _SOON_DAYS:
        text = f"the certificate of the endpoint {endpoint.name} ends in {reach.days:.1f} days"
        yield Check(
            _AREA,
            "certificate",
            Verdict.WARNING,
            text,
            explanation="Webhooks are not delivered when it has ended: tell who runs the endpoint.",
            value=round(reach.days, 1),
            unit="days",
        )
    if url.scheme == "http" and not access.is_loopback(url.host):
        yield Check(
            _AREA,
            "encryption",
            Verdict.WARNING,
            f"webhooks to the endpoint {endpoint.name} go unencrypted: customers' addresses are in them",
            explanation=f"Give {endpoint.setting} an https:// URL.",
            value=endpoint.name,
        )
    if not endpoint.secrets:
        yield Check(
            _AREA,
            "signature",
            Verdict.NOTE,
            f"webhooks to the endpoint {endpoint.name} are not signed: it cannot tell ours from others",
            webhook_endpoints.EXAMPLE,
            f"Give {endpoint.setting} the secret that this command prints, and its receiver, too.",
            value=endpoint.name,
        )
