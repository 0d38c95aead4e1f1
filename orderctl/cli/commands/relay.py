"""``orderctl relay``: run the relay for dashboards, check it, and make tokens for it."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any, Final

import click

from orderctl.cli import options
from orderctl.cli.app import App, pass_app
from orderctl.cli.lazy import Group
from orderctl.errors import Misconfigured, Unavailable

_SECRET_HINT: Final = "openssl rand -hex 32 creates one; relay.token_secret_file reads it from a file"  # noqa: S105

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
@click.option("--reuse-port", is_flag=True, help="Share the port with other relays on this machine.")
@click.option("--allow-actions", is_flag=True, help="Let admins retry and cancel tasks from the page.")
@pass_app
def start(app: App, *, reuse_port: bool, allow_actions: bool) -> None:
    """Serve dashboards until SIGTERM or Ctrl-C: /socket.io/, /ws, /api/ and a page at /.

    When Redis does not answer, the relay keeps running and notifies its clients. To listen on an address
    other than loopback, it needs the setting relay.token_secret.

    Example:
        orderctl relay start
        orderctl relay start --port 3001 --origin https://shop.example
        orderctl relay start --host 0.0.0.0 --config /etc/orderctl/relay.toml
    """
    from orderctl.relay import access, assembly

    chosen = app.settings.relay
    access.require_secret(chosen.host, chosen.token_secret)  # before the embedded Redis is started for it
    app.log()
    try:
        assembly.run(
            app.settings,
            app.redis_url,
            app.database_url,
            actions=allow_actions,
            reuse_port=reuse_port,
            ready=lambda url: app.say(f"Listening on {url}"),
        )
    except OSError as error:
        raise Misconfigured(
            f"cannot listen on {chosen.host} port {chosen.port}: {error.strerror}",
            hint="see the settings relay.host and relay.port",
        ) from None


@cli.command()
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    metavar="SCOPE",
    help="admin, or order:123; can be repeated.",
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

    Example:
        orderctl relay token --scope admin --ttl 12h
        orderctl relay token --scope order:123 --ttl 1h
    """
    from orderctl.relay import tokens

    secret = app.settings.relay.token_secret
    if secret is None:
        raise Misconfigured(
            "setting relay.token_secret is not set; tokens are signed with it", hint=_SECRET_HINT
        )
    made = tokens.mint(
        secret,
        scopes=scopes,
        subject=subject or app.actor,
        issued=int(time.time()),
        ttl=int(ttl.total_seconds()),
    )
    app.write(made + "\n")


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
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(where.host, where.host)  # noqa: S104
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
