"""What the admin's mails say. That they are sent, and how often, is in ``test_mail.py``."""

import pytest

from orderctl.worker import alerts, samples
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")


def test_samples_have_the_variables_that_real_mails_have(shop: Shop):
    order_id = shop.add("DH1")
    failure = {
        "orderId": order_id,
        "taskId": 1,
        "errorType": "DISK_SPACE",
        "message": "full",
        "fingerprint": "f00d",
    }
    payloads = (failure, {"about": "payments", "paymentId": 1})

    for payload in payloads:
        real = shop.read(lambda c, one=payload: alerts.alert(c, one, "admin@example.com"))
        for facts in (facts for name, facts in samples.every() if name == real.name):
            assert facts.keys() - {"sender"} == real.facts.keys()
