"""``orderctl relay``: run the relay for dashboards, check it, and make tokens for it."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from orderctl.cli import locks, options, token_input
from orderctl.cli.app import App, pass_app
from orderctl.cli.lazy import Group
from orderctl.errors import InvalidInput, Misconfigured, Unavailable

if TYPE_CHECKING:
    from orderctl.relay.payments.accepted import Accepted

#: ``orderctl.relay.tokens.MAX_TTL``, which is not imported for ``--help``.
_LONGEST_TTL: Final = "365d"


@click.group(cls=Group)
def cli() -> None:
    """Run the relay for dashboards and make tokens for it.

    Example:
        orderctl relay start
        orderctl relay probe
    """


def _origins(ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> None:
    if value and not ctx.resilient_parsing:
        ctx.ensure_object(App).flags["relay.origins"] = ",".join(value)


@cli.command()
@options.setting("relay.host", "--host", help="Address to listen on.")
@options.setting("relay.port", "--port", help="Port to listen on; 0: any free port.")
@click.option(
    "--origin",
    "_origins",
    multiple=True,
    metavar="ORIGIN",
    expose_value=False,
    callback=_origins,
    help="A web origin that may connect; can be repeated.  [env: ORDERCTL_RELAY_ORIGINS]",
)
@options.setting(
    "relay.hosts", "--hosts", help="Host names by which clients reach the relay, separated by commas."
)
@options.setting("relay.max_connections", "--max-connections", help="Maximum number of clients.", metavar="N")
@options.setting(
    "relay.max_connections_per_address",
    "--max-connections-per-address",
    help="Maximum number of clients from one address; 0: no limit, for use behind a proxy.",
    metavar="N",
)
@options.setting("log.format", "--log-format", help="'text', 'json' (one object on each line) or 'auto'.")
@click.option("--reuse-port", is_flag=True, help="Share the port with other relays on this machine.")
@click.option(
    "--allow-actions", is_flag=True, help="Let admins, and tokens with the right, retry and cancel tasks."
)
@click.option(
    "--accept-payments",
    is_flag=True,
    help="Take the payments of which banks tell at /api/payment/webhook; see payments.providers.",
)
@click.option(
    "--payments-without-secret",
    is_flag=True,
    help="Take payments of the provider plain from programs on this machine without a secret, for trying out.",
)
@pass_app
def start(
    app: App,
    *,
    reuse_port: bool,
    allow_actions: bool,
    accept_payments: bool,
    payments_without_secret: bool,
) -> None:
    """Serve dashboards until SIGTERM or Ctrl-C: /socket.io/, /ws, /api/ and a page at /.

    When Redis does not answer, the relay keeps running and notifies its clients. To listen on an address
    other than loopback, it needs the setting relay.token_secret.

    With --accept-payments, banks and payment services tell of transfers by POST to /api/payment/webhook. Each
    provider of the setting payments.providers needs a secret, such as payments.sepay_api_key.

    Example:
        orderctl relay start
        orderctl relay start --port 3001 --origin https://shop.example
        orderctl relay start --host 0.0.0.0 --config /etc/orderctl/relay.toml
        orderctl relay start --accept-payments --hosts shop.example
    """
    from orderctl.relay import access, assembly

    chosen = app.settings.relay
    app.log()
    # Before the embedded Redis is started for it.
    accepted = _accepted(app, accept_payments, payments_without_secret)
    access.require_secret(chosen.host, chosen.token_secret)
    try:
        assembly.run(
            app.settings,
            app.redis_url,
            app.database_url,
            actions=allow_actions,
            accepted=accepted,
            reuse_port=reuse_port,
            ready=lambda url: app.say(f"Listening on {url}"),
        )
    except OSError as error:
        raise Misconfigured(
            f"cannot listen on {chosen.host} port {chosen.port}: {_reason(error)}",
            hint="see the settings relay.host and relay.port",
        ) from None


def _accepted(app: App, accept: bool, without_secret: bool) -> Accepted | None:
    """Return who may tell of payments; None: nobody."""
    from orderctl.relay.payments import accepted

    if accept:
        chosen = accepted.choose(app.settings, without_secret=without_secret)
        if without_secret:
            app.warn("warning: every program on this machine can tell of payments: --payments-without-secret")
        return chosen
    if without_secret:
        raise InvalidInput(
            "--payments-without-secret needs --accept-payments",
            hint="orderctl relay start --accept-payments --payments-without-secret",
        )
    return None


def _reason(error: OSError) -> str:
    """Return what the system says. asyncio repeats the address in its text; a failed look-up has no such number."""
    import os

    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror)


@cli.command()
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    metavar="SCOPE",
    help="admin; viewer, with emails, action:retry and action:cancel; order:123. Can be repeated.",
)
@click.option(
    "--ttl",
    type=options.Span("1s", _LONGEST_TTL),
    default="1h",
    show_default=True,
    help=f"How long the token is valid; at most {_LONGEST_TTL}.",
)
@click.option(
    "--subject",
    metavar="NAME",
    help="Holder of the token, for the audit log. Default: user@host of the caller.",
)
@pass_app
def token(app: App, *, scopes: tuple[str, ...], ttl: timedelta, subject: str | None) -> None:
    """Make a token for a dashboard or a customer's page, signed with relay.token_secret.

    The token goes to standard output, and its id, by which it can be revoked, to standard error.

    'viewer' reads everything but the e-mail addresses of customers, which 'emails' adds, and changes nothing unless
    'action:retry' or 'action:cancel' is added. 'admin' may do everything. For actions, the relay runs with --allow-actions.

    Example:
        orderctl relay token --scope admin --ttl 12h
        orderctl relay token --scope viewer --scope action:retry --ttl 7d
        orderctl relay token --scope order:123 --ttl 1h
    """
    from orderctl.relay import tokens

    secret = token_input.secret(app)
    made = tokens.mint(
        secret,
        scopes=scopes,
        subject=subject or app.actor,
        issued=int(time.time()),
        ttl=int(ttl.total_seconds()),
    )
    app.write(made + "\n")
    token_id = tokens.read(secret, made).id
    app.say(f"The token's id is {token_id}; to revoke it: orderctl relay revoke {token_id}")


_from = click.option(
    "--from",
    "source",
    type=click.File(errors="replace"),
    metavar="FILE",
    help="File with the tokens, one on each line; -: standard input.",
)


@cli.command()
@_from
@options.output(token_input.TOKENS, times="iso")
@pass_app
def inspect(app: App, source: TextIO | None) -> None:
    """Show what tokens allow, until when, and whether they were revoked.

    The tokens are read from standard input: arguments are visible to other users of the machine.

    Example:
        orderctl relay inspect < token.txt
        orderctl relay inspect --from - -o json
    """
    found = token_input.read(app, source)
    app.render(token_input.described(app, found))


@cli.command()
@click.argument("token_ids", metavar="[ID]...", nargs=-1)
@_from
@locks.lock
@pass_app
def revoke(app: App, token_ids: tuple[str, ...], source: TextIO | None) -> None:
    """Revoke tokens: relays refuse them, and close their connections, within 5 seconds.

    'relay token' prints the id of a token when it makes it, and 'relay inspect' prints it later. Without an
    id, the tokens are read from standard input. To revoke all tokens at once, change relay.token_secret.

    Example:
        orderctl relay revoke 3f9b1c7d5e2a80647c1d9e
        orderctl relay revoke < token.txt
    """
    found, wrong = token_input.read_ids(app, token_ids, source)
    token_input.revoke(app, found)
    for error in wrong[1:]:
        app.warn(f"orderctl: {error}")
    if wrong:
        raise wrong[0]


@cli.command()
@options.output(token_input.REVOKED)
@pass_app
def revoked(app: App) -> None:
    """List the tokens that were revoked and have not expired yet.

    Example:
        orderctl relay revoked
        orderctl relay revoked -o json
    """
    from orderctl import revoked_tokens

    with app.reading() as connection:
        found = revoked_tokens.in_force(connection)
    app.render(found, nothing="No tokens are revoked.")


@cli.command()
@options.setting("relay.host", "--host", help="Address of the relay.")
@options.setting("relay.port", "--port", help="Port of the relay.")
@click.option(
    "--timeout",
    type=options.Span("0.1s", "1h"),
    default="3s",
    show_default=True,
    help="How long to wait for the answer.",
)
@pass_app
def probe(app: App, *, timeout: timedelta) -> None:
    """Ask the relay whether it is healthy; exit 69 when it is not or does not answer.

    Example:
        orderctl relay probe
        orderctl relay probe --port 3002 --timeout 1s
    """
    where = app.settings.relay
    host = where.host.strip("[]")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    health = _ask_health(host, where.port, timeout.total_seconds())
    if health.get("status") != "ok":
        raise Unavailable(f"the relay is {health.get('status')}: {health.get('error')}")
    app.write("ok\n")


def _ask_health(host: str, port: int, timeout: float) -> dict[str, Any]:
    import http.client
    import json

    connection = None
    try:
        connection = http.client.HTTPConnection(host, port, timeout=timeout)
        connection.request("GET", "/healthz", headers={"Host": "localhost"})
        health = json.loads(connection.getresponse().read(10_000))
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or error
        raise Unavailable(
            f"the relay does not answer on {host} port {port}: {reason}", hint="orderctl relay start"
        ) from None
    finally:
        if connection is not None:
            connection.close()
    return health if isinstance(health, dict) else {}
