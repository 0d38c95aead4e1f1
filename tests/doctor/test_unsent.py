"""Messages of the outbox that were given up, or wait for long, are named."""

import pytest

from orderctl.doctor import unsent
from orderctl.doctor.checks import Verdict
from orderctl.schema import outbox
from tests.doctor.around import look, named, unwell
from tests.shop import Shop


@pytest.mark.databases("sqlite")
def test_messages_that_were_given_up_or_wait_are_named(shop: Shop) -> None:
    [task] = shop.paid()
    shop.carry_out(task)
    assert unwell(look(unsent.examine_mails, engine=shop.engine)) == {}

    late = "UPDATE orderctl_outbox SET created_at = '2020-01-01 00:00:00', due_at = '2020-01-01 00:00:00'"
    shop.execute(late)
    checks = look(unsent.examine_mails, engine=shop.engine)
    assert unwell(checks) == {"waiting": Verdict.WARNING}
    assert named(checks, "waiting").repair == "orderctl worker start"

    tried = outbox.update().values(attempts=3, last_error="\x1b[31mConnection refused")
    shop.transact(lambda connection: connection.execute(tried))
    check = named(look(unsent.examine_mails, engine=shop.engine), "waiting")
    assert "tried 3 times, [31mConnection refused" in check.text
    assert (check.repair or "").startswith("orderctl outbox show ")

    shop.execute("UPDATE orderctl_outbox SET failed_at = created_at")
    check = named(look(unsent.examine_mails, engine=shop.engine), "given-up")
    assert check.verdict is Verdict.FAULT
    assert check.repair == "orderctl outbox resend --failed --kind summary"
    hook = named(look(unsent.examine_webhooks, engine=shop.engine), "given-up")
    assert hook.repair == "orderctl outbox resend --failed --kind webhook"
