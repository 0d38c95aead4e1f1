import pytest

START = ("relay", "start", "--accept-payments")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (START, 78, "payments.plain_api_key"),
        ((*START, "--host", "0.0.0.0"), 78, "payments.plain_api_key"),
        ((*START, "--payments-without-secret", "--host", "0.0.0.0"), 78, "relay.host"),
        (("relay", "start", "--payments-without-secret"), 2, "needs --accept-payments"),
    ],
)
def test_payments_are_not_accepted_without_a_secret_by_mistake(inside, arguments, status, said):
    ended = inside(*arguments)

    assert ended.status == status
    assert said in ended.err
    assert "--accept-payments" in ended.err or "openssl" in ended.err


def test_a_provider_that_does_not_exist(inside, monkeypatch):
    monkeypatch.setenv("ORDERCTL_PAYMENTS_PROVIDERS", "nothing")

    ended = inside(*START)

    assert ended.status == 78
    assert "payments.providers" in ended.err
