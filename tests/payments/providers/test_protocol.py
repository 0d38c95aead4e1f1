"""What holds for each provider of ours: any JSON gives transfers that can be kept, or one line that says why not."""

from decimal import Decimal
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from orderctl.errors import InvalidInput
from orderctl.payments.providers import registry
from orderctl.payments.providers.protocol import Delivery, Provider
from orderctl.payments.transfer import Transfer
from tests.payments.providers import test_casso, test_sepay
from tests.payments.providers.deliveries import NOW, WITH_BOTH

PROVIDERS = registry.load(("plain", "sepay", "casso"))
FULL: dict[str, dict[str, Any]] = {
    "plain": {
        "code": "DH1",
        "transferAmount": 300000,
        "bankName": "ACB",
        "id": 7,
        "transactionId": "T",
        "referenceCode": "FT1",
        "content": "DH1",
        "transferType": "in",
        "currency": "VND",
        "accountNumber": "1",
        "transactionDate": "2026-03-25 14:02:37",
    },
    "sepay": test_sepay.TOLD,
    "casso": test_casso.FIRST | test_casso.SECOND,
}
letters = st.text(st.characters(), max_size=20)
amounts = st.sampled_from(
    ["300000", "300,000", "300.000", "12.50", "3e5", "-5000", "NaN", "-0", "1e99", "0x1F", "٣", "1_000"]
)
numbers = st.one_of(
    st.integers(),
    st.sampled_from([0, -1, 7, 10**30, 10**200, 2**63]),
    st.decimals(allow_nan=False, allow_infinity=False, places=5),
    st.sampled_from([Decimal("1E+65"), Decimal("1E-65"), Decimal("-0.0"), Decimal("7.0")]),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, letters, amounts)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(letters, inner, max_size=3),
    max_leaves=6,
)


def mangled(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return a provider's object with some fields left out, and some of another value."""
    full = FULL[name]
    absent = st.sets(st.sampled_from(sorted(full)), max_size=4)
    other = st.dictionaries(st.sampled_from(sorted(full)), values, max_size=3)
    return st.builds(lambda out, new: {k: v for k, v in full.items() if k not in out} | new, absent, other)


envelopes = st.fixed_dictionaries(
    {},
    optional={
        "error": st.sampled_from([0, 0, 0, 1, "x", None, [], {}]) | values,
        "data": mangled("casso") | st.lists(mangled("casso"), max_size=3) | values,
    },
)
anything = st.one_of(values, mangled("plain"), mangled("sepay"), envelopes)


def refusal(provider: Provider, document: Any) -> InvalidInput | None:
    """Check what a provider makes of a document; return why it refuses it."""
    try:
        found = provider.read(document)
    except InvalidInput as error:
        return error
    assert found
    for transfer in found:
        assert isinstance(transfer, Transfer)
        assert transfer.provider == provider.name
        assert transfer.checked().checked() == transfer.checked()
        assert transfer.amount is not None or transfer.ignored is not None
        assert transfer.happened_at is None or transfer.happened_at.tzinfo is not None
        assert isinstance(transfer.raw, dict)
    return None


@given(document=anything)
@example(document=[])
@example(document={"error": 0, "data": [[]]})
@example(document={"code": "DH1", "transferAmount": Decimal("1E+65")})
def test_any_json_gives_transfers_or_a_line_that_says_why_not(document: Any) -> None:
    for provider in PROVIDERS.values():
        if (error := refusal(provider, document)) is not None:
            assert str(error).isprintable()
            assert 10 < len(str(error)) < 300

    assert sum(provider.recognises(document) for provider in PROVIDERS.values()) <= 1


HEADERS = (
    "authorization",
    "secure-token",
    "x-casso-signature",
    "x-sepay-signature",
    "x-sepay-timestamp",
    "x-orderctl-signature",
)
odd_headers = letters | st.sampled_from(["Apikey", "t=1,v1=", f"t={NOW:.0f},v1=00", "sha256=", f"{NOW:.0f}"])


@given(headers=st.dictionaries(st.sampled_from(HEADERS), odd_headers), body=st.binary(max_size=50))
def test_no_odd_request_is_authentic_or_an_error(headers: dict[str, str], body: bytes) -> None:
    delivery = Delivery(headers, body, NOW)

    assert not any(provider.is_authentic(delivery, WITH_BOTH) for provider in PROVIDERS.values())
