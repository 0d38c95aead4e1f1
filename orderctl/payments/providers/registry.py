"""Find the providers that the setting ``payments.providers`` names, and their secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from orderctl import texts
from orderctl.errors import Misconfigured
from orderctl.extensions import Group
from orderctl.payments.providers.protocol import Provider, Secrets
from orderctl.payments.transfer import WITHOUT_SENDER
from orderctl.setting_sections import Payments

#: The group of entry points in which providers announce themselves.
GROUP: Final = "orderctl.payment_providers"
PROVIDERS: Final = Group(GROUP, "payment provider", "payments.providers")
#: As long as the ledger's column.
_NAME: Final = re.compile(r"[a-z0-9_-]{1,32}", re.ASCII)
_METHODS: Final = ("recognises", "is_authentic", "read")


def load(names: Iterable[str]) -> dict[str, Provider]:
    """Return the providers of these names, each once.

    Raises:
        Misconfigured: There are no names, no installed package provides a name, several packages provide different
            classes for it, or its class cannot be loaded or is not a provider of that name.
    """
    found = {name: _checked(name, PROVIDERS.load(name)) for name in dict.fromkeys(names)}
    if not found:
        raise Misconfigured(
            f"setting {PROVIDERS.setting}: it names no provider", hint="set it to plain, for example"
        )
    return found


def installed() -> list[str]:
    """Return the names of all installed providers."""
    return sorted(PROVIDERS.known())


def tell_apart(providers: Mapping[str, Provider], document: Any) -> Provider | None:
    """Return the only provider that recognises a document, or None if there is none or several do.

    Args:
        providers: The providers to choose from, by name.
        document: Any JSON value.
    """
    found = [provider for provider in providers.values() if _recognises(provider, document)]
    return found[0] if len(found) == 1 else None


def _recognises(provider: Provider, document: Any) -> bool:
    try:
        return provider.recognises(document)
    except Exception:  # noqa: BLE001 - of the shop's own, which must not keep others from their payments
        return False


def secrets_of(name: str, payments: Payments, *, only: bool) -> Secrets:
    """Return the secrets of a provider.

    Its own settings count first. ``payments.api_key`` and ``payments.secret`` are for a provider that has no settings of
    its own, and for the only provider; they are never mixed with its own.

    Args:
        name: The name of the provider.
        payments: The section of the settings.
        only: Whether ``payments.providers`` names no other.
    """
    own = Secrets(getattr(payments, f"{name}_api_key", None), getattr(payments, f"{name}_secret", None))
    if any(own) or not (only or _is_foreign(name)):
        return own
    return Secrets(payments.api_key, payments.secret)


def missing_secret(name: str, payments: Payments, *, only: bool) -> str | None:
    """Return that a provider has no secret, with the settings to set; None if it has one.

    Args:
        name: The name of the provider.
        payments: The section of the settings.
        only: Whether ``payments.providers`` names no other.
    """
    if any(secrets_of(name, payments, only=only)):
        return None
    own = "" if _is_foreign(name) else f"{name}_"
    return (
        f"the payment provider {name} has no secret: set payments.{own}api_key or payments.{own}secret"
        f" (or payments.{own}api_key_file or payments.{own}secret_file)"
    )


def _is_foreign(name: str) -> bool:
    """Whether it is a provider of the shop's own, for which there are no settings of its name."""
    return not hasattr(Payments, f"{name}_api_key")


def _checked(name: str, provider: Any) -> Provider:
    own = getattr(provider, "name", None)
    if own != name or not _NAME.fullmatch(name) or name in WITHOUT_SENDER:
        raise Misconfigured(
            f"the payment provider {name} has the name {texts.shown(own)}: it needs that of its entry point, with 1 to 32"
            f" lower-case letters, digits, - and _; {', '.join(WITHOUT_SENDER)} are taken"
        )
    missing = [method for method in _METHODS if not callable(getattr(provider, method, None))]
    if missing:
        raise Misconfigured(f"the payment provider {name} lacks the method {missing[0]}")
    found: Provider = provider
    return found
