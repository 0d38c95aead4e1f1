"""The arguments of PyMySQL's connect for the URL of a database. Without SQLAlchemy: the TAB key has no time for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orderctl import database_urls
from orderctl.database_urls import Address
from orderctl.errors import Misconfigured

if TYPE_CHECKING:
    import ssl

_CONNECT_SECONDS: Final = 5


def wrong(error: Exception) -> Misconfigured:
    """Return the error for a URL that is not valid."""
    return Misconfigured(f"setting database.url: {error}", hint="orderctl config show")


def of(address: Address, answer_timeout: int | None) -> dict[str, Any]:
    """Return the arguments beside host, port, user and database.

    Args:
        address: A database on a server.
        answer_timeout: Seconds without a reply after which the connection is treated as lost; None: never.

    Raises:
        Misconfigured: A certificate cannot be read.
    """
    options = address.options
    arguments: dict[str, Any] = {
        "charset": "utf8mb4",
        "connect_timeout": options.get("connect_timeout", _CONNECT_SECONDS),
    }
    for name in ("read_timeout", "write_timeout"):
        # A migration waits as long as a statement takes, whatever the URL says.
        arguments[name] = answer_timeout and min(answer_timeout, options.get(name, answer_timeout))
    if address.password:
        arguments["password"] = address.password.encode()  # the driver would encode it as Latin-1
    if "unix_socket" in options:
        arguments["unix_socket"] = options["unix_socket"]
    mode = database_urls.tls_mode(options)
    if mode == "DISABLED":
        arguments["ssl_disabled"] = True
    elif mode != "PREFERRED":
        arguments["ssl"] = _tls(mode, options)
    return arguments


def _tls(mode: str, options: Any) -> ssl.SSLContext:
    import ssl  # noqa: PLC0415 - takes 10 ms, and only some servers need it

    context = ssl.create_default_context()
    context.check_hostname = mode == "VERIFY_IDENTITY"
    context.verify_mode = ssl.CERT_NONE if mode == "REQUIRED" else ssl.CERT_REQUIRED
    # MySQL's own certificates lack an extension that Python 3.13 and newer ask for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    loaded = {"ssl-ca": options.get("ssl_ca"), "ssl-cert": options.get("ssl_cert")}
    for name, path in loaded.items():
        try:
            if path is not None and name == "ssl-ca":
                context.load_verify_locations(path)
            elif path is not None:
                context.load_cert_chain(path, options["ssl_key"], password="")
        except OSError as error:
            pem = "not a certificate in PEM format with its key, without a password"
            reason = pem if isinstance(error, ssl.SSLError) else error.strerror
            raise wrong(ValueError(f"option {name}: cannot read {path}: {reason}")) from None
    return context
