"""The sections of the settings: each key is declared once, with the function that reads it and its default."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from orderctl import masking, setting_types
from orderctl.setting_keys import Key, Section, keys_of

if TYPE_CHECKING:
    from orderctl.webhook_endpoints import Endpoint


def _shared_key(about: str) -> Key[str | None]:
    return Key(setting_types.shared_key, None, f"{about}, 16 characters or more", secret=True)


class Database(Section):
    """The SQL database."""

    url = Key(
        setting_types.database_url,
        None,
        "mysql://, mariadb:// or sqlite:/// URL; unset: embedded SQLite",
        secret=True,
        show=masking.setting,
    )
    pool_size = Key(setting_types.whole(1, 100), 5, "number of connections that are kept open")
    time_zone = Key(
        setting_types.database_zone,
        "UTC",
        "how the shop's DATETIMEs are meant: UTC, an offset such as +07:00, or Area/City",
    )


class Redis(Section):
    """Redis or Valkey."""

    url = Key(
        setting_types.redis_url,
        None,
        "redis://, rediss:// or unix:// URL; unset: embedded Redis",
        secret=True,
        show=masking.setting,
    )
    prefix = Key(
        setting_types.redis_prefix,
        "",
        "put before the name of each channel and key, if several shops use one Redis server; such as shop1:",
    )


class Worker(Section):
    """The workers, which carry out the tasks."""

    queue = Key(setting_types.name, "orderctl", "RQ queue that wakes the workers")
    concurrency = Key(setting_types.whole(1, 256), 1, "number of workers of one supervisor")
    handler = Key(
        setting_types.name, "http", "download handler: an entry point of the group orderctl.handlers"
    )
    take = Key(
        setting_types.one_of("managed", "all"),
        "managed",
        "managed: only orderctl's own tasks; all: the shop's tasks, too",
    )
    lease_seconds = Key(setting_types.real(1, 3600), 30.0, "how long a claim is valid without a heartbeat")
    max_attempts = Key(setting_types.whole(1, 100), 3, "number of attempts before a task fails permanently")
    retry_transient = Key(
        setting_types.boolean,
        True,
        "try again what may pass by itself: TIMEOUT and NETWORK failures, HTTP 429, 503",
    )
    give_up_after = Key(
        setting_types.span(0, 10 * 365 * 86400),
        86_400.0,
        "how long a task is tried again for such failures, without using up attempts: seconds, or 90m, 24h, 7d",
    )
    max_retry_after = Key(
        setting_types.span(0, 10 * 365 * 86400),
        3600.0,
        "longest pause that a course's server may ask for (Retry-After): seconds, or 90m, 24h, 7d",
    )
    drain_timeout_seconds = Key(
        setting_types.real(0, 86400), 60.0, "how long a stop waits for running downloads"
    )
    metrics_port: Key[int | None] = Key(
        setting_types.whole(0, 65535),
        None,
        "port of the metrics for Prometheus; 0: any free port; unset: none",
    )
    metrics_host = Key(setting_types.name, "127.0.0.1", "address of the metrics for Prometheus")
    metrics_file = Key(
        setting_types.path, None, "file of the metrics for node_exporter, such as orderctl.prom; unset: none"
    )


class Progress(Section):
    """Live progress."""

    interval_seconds = Key(
        setting_types.real(0, 3600), 5.0, "minimum time between two progress messages of a task"
    )


class Download(Section):
    """The http handler, which downloads the courses."""

    directory = Key(
        setting_types.path, None, "folder of downloaded files; unset: downloads in the state folder"
    )
    public_url = Key(
        setting_types.base_url,
        None,
        "URL that serves the directory; drive_link begins with it",
        show=masking.url,
    )
    allow_private_hosts = Key(
        setting_types.boolean, False, "allow downloads from addresses of private networks"
    )
    max_bytes = Key(setting_types.whole(1, 2**60), 100 * 2**30, "maximum size of a file")
    timeout_seconds = Key(
        setting_types.real(0.1, 86400), 30.0, "how long to wait for a server that sends nothing"
    )
    min_bytes_per_second = Key(setting_types.whole(0, 2**40), 1024, "minimum rate over a minute; 0: any rate")


class Relay(Section):
    """The relay for dashboards."""

    host = Key(setting_types.name, "127.0.0.1", "address to listen on")
    port = Key(setting_types.whole(0, 65535), 3001, "port to listen on; 0: any free port")
    origins: Key[tuple[str, ...]] = Key(setting_types.listing, (), "web origins that may connect")
    hosts: Key[tuple[str, ...]] = Key(
        setting_types.listing, (), "host names by which clients reach the relay"
    )
    token_secret = Key(
        setting_types.signing_secret,
        None,
        "secret that signs tokens, 32 random characters or more",
        secret=True,
    )
    max_connections = Key(setting_types.whole(1, 1_000_000), 10_000, "maximum number of clients")
    max_connections_per_address = Key(
        setting_types.whole(0, 1_000_000), 1000, "maximum number of clients from one address; 0: no limit"
    )
    max_subscriptions = Key(
        setting_types.whole(1, 1_000_000), 1000, "maximum number of subscriptions of one connection"
    )
    max_messages_per_second = Key(
        setting_types.whole(1, 1_000_000), 1000, "maximum number of messages per second from one connection"
    )


class Mail(Section):
    """Mails to customers and to the admin."""

    url = Key(
        setting_types.smtp_url,
        None,
        "smtp://user:password@host:587; unset: no mail",
        secret=True,
        show=masking.setting,
    )
    sender = Key(setting_types.mailbox, None, "sender's address (From)")
    admin = Key(setting_types.mailbox, None, "address that receives alerts")
    templates = Key(
        setting_types.path,
        None,
        "folder with the shop's own templates of mails, such as order.txt; orderctl's own replace files that it lacks",
    )


# webhook_endpoints is imported where a webhook is configured: its dataclass would cost each start a millisecond.
def webhook_endpoints(value: Any) -> tuple[Endpoint, ...]:
    """Return the endpoints of webhooks."""
    from orderctl import webhook_endpoints  # noqa: PLC0415

    return webhook_endpoints.read(value)


def webhook_secrets(value: Any) -> tuple[str, ...]:
    """Return the secrets of a webhook, newest first."""
    from orderctl import webhook_endpoints  # noqa: PLC0415

    return webhook_endpoints.read_secrets(value)


def webhook_events(value: Any) -> tuple[str, ...]:
    """Return patterns of the events that a webhook wants."""
    from orderctl import webhook_endpoints  # noqa: PLC0415

    return webhook_endpoints.read_events(value)


def _shown_endpoints(value: tuple[Endpoint, ...]) -> str:
    from orderctl import webhook_endpoints  # noqa: PLC0415

    return webhook_endpoints.shown(value)


class Notify(Section):
    """Webhooks that notify other systems."""

    webhook_url = Key(
        setting_types.http_url,
        None,
        "URL that gets a POST when an order ends or a task fails permanently",
        secret=True,
        show=masking.webhook,
    )
    webhook_secret: Key[tuple[str, ...] | None] = Key(
        webhook_secrets,
        None,
        "secret that signs what webhook_url gets: whsec_..., or 32 random characters or more; a list: each signs",
        secret=True,
    )
    events: Key[tuple[str, ...]] = Key(
        webhook_events,
        ("*",),
        "what webhook_url gets: order_completed, order_failed, order_cancelled, task_failed, or patterns",
    )
    endpoint: Key[tuple[Endpoint, ...]] = Key(
        webhook_endpoints,
        (),
        "further endpoints of webhooks, at most 20: each has a name, a url, a secret and events; JSON in the environment",
        secret=True,
        show=_shown_endpoints,
        lines=True,
        example="""\
[[notify.endpoint]]
name = "crm"
url = "https://crm.example.com/orders"
secret_file = "/path/to/a/file"
events = ["order_completed", "order_failed"]""",
    )


class Payments(Section):
    """Payments that come in."""

    pending_statuses: Key[tuple[str, ...]] = Key(
        setting_types.words,
        ("pending", "failed"),
        "payment statuses of orders that can be paid, in the shop's words",
    )
    accept = Key(
        setting_types.one_of("exact", "at-least", "sum"),
        "exact",
        "which amount pays an order: exact, at-least, or sum: the sum of several transfers",
    )
    tolerance = Key(
        setting_types.amount, Decimal(0), "how much an amount may differ from the order's, in its currency"
    )
    code_pattern: Key[re.Pattern[str] | None] = Key(
        setting_types.pattern,
        None,
        "regular expression of the orders' codes in a transfer's text; unset: each existing code that is a word of it",
    )
    providers: Key[tuple[str, ...]] = Key(
        setting_types.words,
        ("plain",),
        "who may tell the relay of transfers: plain, sepay, casso, or entry points of the group"
        " orderctl.payment_providers",
    )
    plain_api_key = _shared_key("key that the provider plain sends (Authorization: Apikey KEY)")
    plain_secret = _shared_key("secret with which the provider plain signs (X-Orderctl-Signature)")
    sepay_api_key = _shared_key("API key that SePay sends (Authorization: Apikey KEY)")
    sepay_secret = _shared_key("secret with which SePay signs (X-SePay-Signature)")
    casso_api_key = _shared_key("key that Casso sends (secure-token)")
    casso_secret = _shared_key("checksum key with which Casso signs (X-Casso-Signature)")
    api_key = _shared_key("key of a provider of the shop's own, or of the only provider")
    secret = _shared_key("secret of a provider of the shop's own, or of the only provider")
    keep_raw_days = Key(
        setting_types.whole(0, 36500),
        90,
        "for how many days the ledger keeps what a provider sent, as it came",
    )


class Reconcile(Section):
    """Finding and repairing what is wrong."""

    expected_statuses: Key[tuple[str, ...]] = Key(
        setting_types.words, (), "statuses of the shop's own, which reconcile --check does not report"
    )


class Display(Section):
    """How values are shown."""

    currency = Key(setting_types.name, "VND", "currency of total_amount")
    time_zone = Key(setting_types.time_zone, "local", "for --time-format local: local, UTC or Area/City")


class Audit(Section):
    """Seals over the audit log."""

    seal_key = Key(
        setting_types.signing_secret,
        None,
        "secret key of the seals (HMAC), 32 random characters or more",
        secret=True,
    )
    seal_margin_seconds = Key(setting_types.whole(0, 86400), 60, "age below which events are not sealed yet")


class Log(Section):
    """The log of workers and of the relay, on stderr."""

    format = Key(
        setting_types.one_of("auto", "text", "json"),
        "auto",
        "text; json: one object on each line; auto: text, in systemd's journal with a priority instead of the time",
    )


SECTIONS: dict[str, type[Section]] = {
    "database": Database,
    "redis": Redis,
    "worker": Worker,
    "progress": Progress,
    "download": Download,
    "relay": Relay,
    "mail": Mail,
    "notify": Notify,
    "payments": Payments,
    "reconcile": Reconcile,
    "display": Display,
    "audit": Audit,
    "log": Log,
}


#: The setting above the sections that refuses changes.
READ_ONLY: Final = "read_only"
#: What they are for.
ABOVE: Final = {
    "state_dir": "folder of the embedded database, the embedded Redis and downloads",
    READ_ONLY: "refuse commands that change something; once it is true, no file, variable or option that is read"
    " later changes that",
}


def declared() -> dict[str, Key[Any]]:
    """Return every key ``section.name`` with its declaration."""
    return {
        f"{section}.{name}": key for section, kind in SECTIONS.items() for name, key in keys_of(kind).items()
    }


def abouts() -> dict[str, str]:
    """Return what each setting is for, also those above the sections."""
    return ABOVE | {key: item.about for key, item in declared().items()}
