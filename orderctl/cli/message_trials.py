"""Which receivers of webhooks and mails get a sample."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from orderctl import texts
from orderctl.cli.app import App
from orderctl.errors import InvalidInput, Misconfigured, NotFound

if TYPE_CHECKING:
    from orderctl.webhook_endpoints import Endpoint
    from orderctl.worker.trials import Trial

_HINT: Final = (
    "set notify.webhook_url or [[notify.endpoint]], or mail.url and mail.admin: orderctl config init --stdout"
)


def carry_out(app: App, endpoint: str | None, recipient: str | None, *, only_mail: bool) -> list[Trial]:
    """Send a sample to each receiver that is wanted, to some at the same time.

    Args:
        app: The application.
        endpoint: The name of the only endpoint; None: all, unless only the mail is wanted.
        recipient: The address that gets the mail; None: that of the admin.
        only_mail: Whether only the mail is wanted, or the mail beside the named endpoint.

    Raises:
        InvalidInput: The address is not one.
        NotFound: There is no endpoint of this name.
        Misconfigured: There is no receiver, or the mail is wanted and has none.
    """
    from orderctl import webhook_endpoints
    from orderctl.worker import trials

    to = _recipient(app, recipient, wanted=only_mail or recipient is not None, others=endpoint is not None)
    endpoints = [] if (only_mail or recipient is not None) and endpoint is None else _endpoints(app, endpoint)
    if not endpoints and to is None:
        raise Misconfigured(
            "neither an endpoint of webhooks nor a receiver of mails is configured", hint=_HINT
        )
    wanted = {one.name: partial(trials.post, one) for one in endpoints}
    if to is not None:
        wanted[webhook_endpoints.MAIL] = partial(trials.write, app.settings.mail, to)
    return trials.at_once(wanted, lambda names: app.say(f"waiting for {', '.join(names)}"))


def _endpoints(app: App, name: str | None) -> list[Endpoint]:
    from orderctl import webhook_endpoints

    known = webhook_endpoints.of(app.settings.notify)
    found = [one for one in known if name in {None, one.name}]
    if name is not None and not found:
        names = ", ".join(one.name for one in known)
        raise NotFound(
            f"endpoint {texts.shown(name)} not found",
            hint=f"the endpoints are {names}" if names else "set notify.webhook_url or [[notify.endpoint]]",
        )
    return found


def _recipient(app: App, given: str | None, *, wanted: bool, others: bool) -> str | None:
    """Return who gets the mail; None: no mail is sent."""
    from orderctl import mailboxes

    settings = app.settings.mail
    if given is not None:
        try:
            mailboxes.parse_named(given)
        except ValueError as error:
            raise InvalidInput(f"{texts.shown(given)} is not a valid e-mail address: {error}") from None
    if others and not wanted:
        return None
    lack = "mail.url" if settings.url is None else "mail.admin" if (given or settings.admin) is None else None
    if lack is not None and wanted:
        raise Misconfigured(
            f"no mail can be sent: {lack} is not configured", hint="orderctl config init --stdout"
        )
    if lack == "mail.admin":
        app.say("mail.admin is not configured: no mail is sent; --to ADDRESS sends one")
    return None if lack is not None else given or settings.admin
