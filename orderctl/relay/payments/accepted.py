"""Which providers may tell of payments, with their secrets, and who of them sends a request."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from orderctl import documents, texts
from orderctl.errors import InvalidInput, Misconfigured
from orderctl.payments.providers import registry
from orderctl.payments.providers.protocol import Delivery, Provider, Secrets
from orderctl.payments.transfer import Transfer
from orderctl.relay.access import Unauthorized, is_loopback

if TYPE_CHECKING:
    from orderctl.settings import Settings

#: The only provider that is accepted without a secret.
TRIAL: Final = "plain"
_TRY_OUT: Final = "orderctl relay start --accept-payments --payments-without-secret"
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")


class NotAuthentic(Unauthorized):
    """The request does not prove that it comes from a provider of payments."""


class ProviderFault(Misconfigured):
    """A payment provider of the shop's own has a fault."""


class Sender(NamedTuple):
    """A provider, and the secrets by which its requests are known."""

    provider: Provider
    secrets: Secrets


@dataclass(frozen=True, slots=True)
class Accepted:
    """Who may tell of payments.

    Attributes:
        senders: By the name of the provider.
        guarded: Whether each request has to prove who sends it; False is for trying out, on this machine only.
    """

    senders: Mapping[str, Sender]
    guarded: bool = True

    def read(self, delivery: Delivery, name: str | None) -> list[Transfer]:
        """Return what a request tells of, if it comes from one of the providers.

        Args:
            delivery: The request.
            name: The provider; None: it is told apart by the fields of the document.

        Raises:
            NotAuthentic: It does not prove that it comes from the provider.
            InvalidInput: It is not a document of the provider's.
            ProviderFault: The provider is one of the shop's own, and has a fault.
        """
        asked = self.senders if name is None else {name: self.senders[name]}
        authentic, fault = self._ask(asked, delivery)
        if not authentic:
            raise NotAuthentic from fault
        document = _parse(delivery)
        return _read(self._choose(authentic, name, document), document)

    def _ask(
        self, asked: Mapping[str, Sender], delivery: Delivery
    ) -> tuple[dict[str, Sender], ProviderFault | None]:
        """Return who of those that are asked knows the request, and why one of them could not say."""
        authentic, fault = {}, None
        for name, sender in asked.items():
            try:
                if not self.guarded or sender.provider.is_authentic(delivery, sender.secrets):
                    authentic[name] = sender
            except Exception as error:  # noqa: BLE001 - of the shop's own, which must not keep others from theirs
                fault = _fault(sender.provider, error)
        return authentic, fault

    def _choose(self, authentic: Mapping[str, Sender], name: str | None, document: Any) -> Provider:
        """Return the provider that reads a document; one that no provider knows goes to the one that sent it."""
        if name is not None:
            return authentic[name].provider
        every = {name: sender.provider for name, sender in self.senders.items()}
        found = registry.tell_apart(every, document)
        if found is None:
            return next(iter(authentic.values())).provider
        if found not in [sender.provider for sender in authentic.values()]:
            raise NotAuthentic
        return found


def choose(settings: Settings, *, without_secret: bool = False) -> Accepted:
    """Return who may tell of payments, as the settings say.

    Args:
        settings: The settings.
        without_secret: Accept the provider ``plain`` without a secret, for trying out.

    Raises:
        Misconfigured: A provider is unknown or has no secret, or strangers could tell of payments without one.
    """
    there = settings.payments
    providers = registry.load(there.providers)
    only = len(providers) == 1
    senders = {
        name: Sender(provider, registry.secrets_of(name, there, only=only))
        for name, provider in providers.items()
    }
    if without_secret:
        _require_trial(settings, senders)
        return Accepted(senders, guarded=False)
    for name in senders:
        missing = registry.missing_secret(name, there, only=only)
        if missing is not None:
            raise Misconfigured(missing, hint=_way_out(settings, name))
    return Accepted(senders)


def _way_out(settings: Settings, name: str) -> str:
    tells = (
        f"docs/payments.md says which of them {name} has"
        if name != TRIAL
        else "openssl rand -hex 32 makes one"
    )
    if set(settings.payments.providers) == {TRIAL} and is_loopback(settings.relay.host):
        return f"{tells}; to try it out on this machine: {_TRY_OUT}"
    return tells


def _require_trial(settings: Settings, senders: Mapping[str, Sender]) -> None:
    """Refuse what is more than trying out."""
    others = [name for name in senders if name != TRIAL]
    if others:
        raise Misconfigured(
            f"setting payments.providers: {', '.join(others)} cannot be accepted without a secret, only {TRIAL} can",
            hint="orderctl relay start --accept-payments, with the secret of each provider",
        )
    if not is_loopback(settings.relay.host):
        raise Misconfigured(
            f"setting relay.host: other machines can reach {settings.relay.host}, so payments need a secret:"
            f" payments.{TRIAL}_api_key or payments.{TRIAL}_secret",
            hint="orderctl relay start --accept-payments, with the secret, or --host 127.0.0.1",
        )
    if senders[TRIAL].secrets != Secrets():
        raise Misconfigured(
            f"the payment provider {TRIAL} has a secret in the settings: --payments-without-secret would take payments"
            " from programs that do not know it",
            hint="orderctl relay start --accept-payments",
        )


def _read(provider: Provider, document: Any) -> list[Transfer]:
    """Return the transfers that a provider reads. One of the shop's own may have faults."""
    try:
        transfers = [transfer.checked() for transfer in provider.read(document)]
    except InvalidInput:
        raise
    except Exception as error:
        raise _fault(provider, error) from error
    if not transfers or any(transfer.provider != provider.name for transfer in transfers):
        raise ProviderFault(
            f"the payment provider {provider.name} is wrong: read() returned "
            + ("transfers of another name" if transfers else "no transfer, not even one with ignored")
        )
    return transfers


def _fault(provider: Provider, error: Exception) -> ProviderFault:
    """Return that a provider failed, and where; not the text of the error, which may repeat a payment or a secret."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return ProviderFault(
        f"the payment provider {provider.name} is wrong: {type(error).__name__}"
        f" in {Path(place.filename).name}, line {place.lineno}"
    )


def _parse(delivery: Delivery) -> Any:
    coding = delivery.headers.get("content-encoding", "").strip().lower()
    if coding not in {"", "identity"}:
        raise InvalidInput(
            f"the body is compressed ({texts.shown(coding)}): let the provider send it as it is"
        )
    try:
        text = delivery.body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the body is not UTF-8: byte {error.start + 1} is not valid") from None
    try:
        return documents.parse(text, "the body")
    except InvalidInput as error:
        kind = delivery.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in _FORMS:
            raise InvalidInput("the body is a form: let the provider send JSON (application/json)") from None
        raise InvalidInput(str(error)) from None
