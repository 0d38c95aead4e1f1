"""Providers from installed packages, told apart by their documents, and their secrets."""

import itertools
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from orderctl import extensions
from orderctl.errors import ExitStatus, Misconfigured
from orderctl.payments.providers import registry
from orderctl.payments.providers.casso import CassoProvider
from orderctl.payments.providers.plain import PlainProvider
from orderctl.payments.providers.protocol import Provider, Secrets
from orderctl.payments.providers.sepay import SepayProvider
from orderctl.setting_sections import Payments
from tests.payments.providers import test_casso, test_sepay

OURS = ("casso", "plain", "sepay")
PROVIDERS: dict[str, Provider] = {
    "casso": CassoProvider(),
    "plain": PlainProvider(),
    "sepay": SepayProvider(),
}


def test_ours_are_installed() -> None:
    found = registry.load((*OURS, "plain"))

    assert {name: type(one) for name, one in found.items()} == {
        "casso": CassoProvider,
        "plain": PlainProvider,
        "sepay": SepayProvider,
    }
    assert registry.installed() == list(OURS)


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("plain", {"code": "DH123456", "transferAmount": 300000}),
        ("plain", {"code": "DH1", "transferAmount": 300000, "bankName": "ACB"}),
        ("plain", {"code": "DH1", "transferAmount": 1, "content": "x", "transferType": "in", "id": 5}),
        ("plain", {"code": "DH1"}),
        ("plain", {"transferAmount": 5, "referenceCode": "FT1"}),
        ("plain", {"bankName": None}),
        ("plain", {"code": "DH1", "transferAmount": 1, "data": [], "status": "x"}),
        ("sepay", test_sepay.TOLD),
        ("sepay", test_sepay.TOLD | {"id": 0}),
        ("sepay", test_sepay.TOLD | {"code": None, "transferAmount": "x"}),
        ("sepay", {"gateway": "MBBank"}),
        ("casso", {"error": 0, "data": [test_casso.FIRST]}),
        ("casso", {"error": 0, "data": test_casso.SECOND}),
        ("casso", {"error": 0, "data": test_casso.TESTS[0]}),
        ("casso", {"error": 0, "data": [test_casso.TESTS[1]]}),
        ("casso", {"error": 0, "data": []}),
        ("casso", {"error": 7, "data": None}),
        ("casso", {"error": 0, "data": [], "code": "00"}),
        (None, {}),
        (None, {"event": "ping", "id": 5}),
        (None, {"error": 5}),
        (None, {"data": []}),
        (None, [{"code": "DH1", "transferAmount": 5}]),
        (None, None),
        (None, "gateway"),
        (None, 5),
    ],
)
def test_documents_are_told_apart_in_any_order(name: str | None, document: Any) -> None:
    for order in itertools.permutations(PROVIDERS):
        found = registry.tell_apart({one: PROVIDERS[one] for one in order}, document)

        assert (found and found.name) == name
    others = {other: PROVIDERS[other] for other in PROVIDERS if other != name}
    assert registry.tell_apart(others, document) is None


class Mine:
    name = "mine"

    def recognises(self, _: Any) -> bool:
        return True

    def is_authentic(self, *_: Any) -> bool:
        return False

    def read(self, _: Any) -> list[Any]:
        return []


class Nameless(Mine):
    name = None  # type: ignore[assignment]


class Manual(Mine):
    name = "manual"


class Blank(Mine):
    name = "m ine"


class Mute(Mine):
    read = None  # type: ignore[assignment]


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """Entry points of packages that are not installed."""
    entries: list[EntryPoint] = []
    monkeypatch.setattr(extensions, "entry_points", lambda group: [e for e in entries if e.group == group])
    return entries


def offer(offered: list[EntryPoint], name: str, kind: type[Mine]) -> None:
    offered.append(EntryPoint(name, f"{kind.__module__}:{kind.__name__}", registry.GROUP))


def test_a_document_that_several_recognise_is_nobodys(offered: list[EntryPoint]) -> None:
    offer(offered, "mine", Mine)
    providers = {"mine": registry.load(["mine"])["mine"], "plain": PlainProvider()}

    assert registry.tell_apart(providers, {"code": "DH1"}) is None
    assert registry.tell_apart(providers, {"x": 1}) is providers["mine"]


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("other", Mine, "the payment provider other has the name 'mine'"),
        ("mine", Nameless, "the payment provider mine has the name None"),
        ("manual", Manual, "manual, audit_log, statement are taken"),
        ("m ine", Blank, "lower-case letters, digits, - and _"),
        ("mine", Mute, "the payment provider mine lacks the method read"),
    ],
)
def test_a_class_that_is_no_provider_of_its_name_is_misconfigured(
    offered: list[EntryPoint], name: str, kind: type[Mine], says: str
) -> None:
    offer(offered, name, kind)

    with pytest.raises(Misconfigured, match=says) as caught:
        registry.load([name])

    assert caught.value.exit_status is ExitStatus.CONFIGURATION


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["ngân"], r"setting payments\.providers: payment provider 'ngân' not found; installed: .*sepay"),
        ([], r"setting payments\.providers: it names no provider"),
    ],
)
def test_names_that_nobody_provides_are_misconfigured(names: list[str], says: str) -> None:
    with pytest.raises(Misconfigured, match=says):
        registry.load(names)


OWN, COMMON = "own-key-of-the-provider", "key-for-the-shops-provider"


@pytest.mark.parametrize(
    ("name", "only", "settings", "secrets"),
    [
        ("sepay", False, {"sepay_api_key": OWN}, Secrets(OWN)),
        ("sepay", False, {"sepay_secret": OWN, "secret": COMMON, "api_key": COMMON}, Secrets(None, OWN)),
        ("sepay", True, {"sepay_api_key": OWN, "secret": COMMON}, Secrets(OWN)),
        ("sepay", True, {"api_key": COMMON, "secret": OWN}, Secrets(COMMON, OWN)),
        ("sepay", False, {"api_key": COMMON, "secret": OWN}, Secrets()),
        ("sepay", True, {"casso_api_key": OWN}, Secrets()),
        ("mine", False, {"api_key": COMMON}, Secrets(COMMON)),
        ("mine", True, {"secret": COMMON}, Secrets(None, COMMON)),
        ("mine", False, {"plain_secret": COMMON}, Secrets()),
        ("plain", True, {}, Secrets()),
    ],
)
def test_the_secrets_of_a_provider(name: str, only: bool, settings: dict[str, str], secrets: Secrets) -> None:
    payments = Payments(**settings)

    assert tuple(registry.secrets_of(name, payments, only=only)) == tuple(secrets)
    missing = registry.missing_secret(name, payments, only=only)
    assert (missing is None) is any(secrets)


def test_a_missing_secret_names_the_settings() -> None:
    assert registry.missing_secret("casso", Payments(), only=True) == (
        "the payment provider casso has no secret: set payments.casso_api_key or payments.casso_secret"
        " (or payments.casso_api_key_file or payments.casso_secret_file)"
    )
    assert "payments.api_key or payments.secret" in str(
        registry.missing_secret("mine", Payments(), only=False)
    )


def test_secrets_are_not_shown() -> None:
    assert OWN not in f"{Secrets(OWN, OWN)} {Secrets(OWN)!r} {[Secrets(OWN)]}"
