"""TLS to Redis: the options in the URL, and what a client connects with.

Each function raises ValueError with what is allowed, and never shows a password.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True)
class Tls:
    """How to verify the server, and how to identify to it. The defaults verify it with the system's CAs.

    Attributes:
        cert_reqs: ``required``, ``optional`` or ``none``.
        check_hostname: Whether the certificate has to be the host's; never with ``none``.
        ca_certs: File of the CAs to trust.
        ca_path: Folder of the CAs to trust.
        ca_data: The CAs to trust, as PEM.
        certfile: File of the client's certificate.
        keyfile: File of its key.
        password: Password of that key.
        min_version: Lowest version of TLS, as ``ssl.TLSVersion``.
        ciphers: As OpenSSL lists them.
        include_verify_flags: Names of ``ssl.VerifyFlags`` to set.
        exclude_verify_flags: Names of ``ssl.VerifyFlags`` to remove.
    """

    cert_reqs: str = "required"
    check_hostname: bool = True
    ca_certs: str | None = None
    ca_path: str | None = None
    ca_data: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    password: str | None = field(default=None, repr=False)
    min_version: int | None = None
    ciphers: str | None = None
    include_verify_flags: tuple[str, ...] = ()
    exclude_verify_flags: tuple[str, ...] = ()


# --- The options


def _boolean(value: str) -> bool:
    lowered = value.lower()
    if lowered not in {"1", "true", "yes", "y", "on", "t", "0", "false", "no", "n", "off", "f"}:
        raise ValueError("needs true or false")
    return lowered in {"1", "true", "yes", "y", "on", "t"}


def _given(value: str) -> str:
    if not value:
        raise ValueError("is empty")
    return value


#: The words for ``ssl_cert_reqs``: of redis-py, and of Python's ssl module.
_CERT_REQS: Final = {
    "none": "none",
    "optional": "optional",
    "required": "required",
    "cert_none": "none",
    "cert_optional": "optional",
    "cert_required": "required",
}


def _cert_reqs(value: str) -> str:
    if value.lower() not in _CERT_REQS:
        raise ValueError("needs none, optional or required")
    return _CERT_REQS[value.lower()]


#: The lowest versions of TLS that may be asked for, as redis-py writes them (``ssl.TLSVersion``) and as people do.
_VERSIONS: Final = {"771": 771, "772": 772, "1.2": 771, "1.3": 772, "tlsv1_2": 771, "tlsv1_3": 772}


def _version(value: str) -> int:
    if value.lower() not in _VERSIONS:
        raise ValueError("needs 1.2 or 1.3")
    return _VERSIONS[value.lower()]


def _flags(value: str) -> tuple[str, ...]:
    import ssl  # noqa: PLC0415 - rarely needed

    names = tuple(name.strip() for name in value.strip("[]").split(",") if name.strip())
    if not names or any(name not in ssl.VerifyFlags.__members__ for name in names):
        raise ValueError(f"needs names of {', '.join(ssl.VerifyFlags.__members__)}")
    return names


#: The options of a URL, with what reads them.
OPTIONS: Final[dict[str, Callable[[str], Any]]] = {
    "ssl_cert_reqs": _cert_reqs,
    "ssl_check_hostname": _boolean,
    "ssl_ca_certs": _given,
    "ssl_ca_path": _given,
    "ssl_ca_data": _given,
    "ssl_certfile": _given,
    "ssl_keyfile": _given,
    "ssl_password": str,
    "ssl_min_version": _version,
    "ssl_ciphers": _given,
    "ssl_include_verify_flags": _flags,
    "ssl_exclude_verify_flags": _flags,
}


def read(options: Mapping[str, Any], *, secure: bool) -> Tls | None:
    """Return how to use TLS, None for a URL without it.

    Args:
        options: The options of the URL, as :data:`OPTIONS` reads them; others are left alone.
        secure: Whether the URL asks for TLS.
    """
    given = {name.removeprefix("ssl_"): options[name] for name in OPTIONS if name in options}
    if not secure:
        if given:
            raise ValueError(f"option ssl_{next(iter(given))} needs rediss://, which is Redis over TLS")
        return None
    if "keyfile" in given and "certfile" not in given:
        raise ValueError("option ssl_keyfile needs ssl_certfile")
    if "password" in given and "certfile" not in given:
        raise ValueError("option ssl_password needs ssl_certfile")
    return Tls(**given)


# --- The connection


def context(tls: Tls) -> ssl.SSLContext:
    """Return what a client needs to connect over TLS."""
    import ssl  # noqa: PLC0415 - needed only with TLS

    made = ssl.create_default_context()
    made.check_hostname = tls.check_hostname and tls.cert_reqs != "none"
    made.verify_mode = ssl.VerifyMode[f"CERT_{tls.cert_reqs.upper()}"]
    for name in tls.include_verify_flags:
        made.verify_flags |= ssl.VerifyFlags[name]
    for name in tls.exclude_verify_flags:
        made.verify_flags &= ~ssl.VerifyFlags[name]
    if tls.min_version is not None:
        made.minimum_version = ssl.TLSVersion(tls.min_version)
    if tls.ciphers is not None:
        _load("ssl_ciphers", tls.ciphers, lambda: made.set_ciphers(tls.ciphers or ""))
    _load_files(made, tls)
    return made


def _load_files(made: ssl.SSLContext, tls: Tls) -> None:
    if tls.certfile is not None:
        certificate, key = tls.certfile, tls.keyfile
        _load(
            "ssl_certfile" if key is None else "ssl_certfile or ssl_keyfile",
            certificate if key is None else f"{certificate}, {key}",
            # A function: with none, OpenSSL would ask at the terminal for the password of a key.
            lambda: made.load_cert_chain(certificate, key, lambda: tls.password or ""),
        )
    if tls.ca_certs is not None:
        _load("ssl_ca_certs", tls.ca_certs, lambda: made.load_verify_locations(cafile=tls.ca_certs))
    if tls.ca_path is not None:
        # OpenSSL reads the folder only when it looks for a CA, and says nothing when there is none.
        _load("ssl_ca_path", tls.ca_path, lambda: _list(tls.ca_path or ""))
        made.load_verify_locations(capath=tls.ca_path)
    if tls.ca_data is not None:
        _load("ssl_ca_data", "the given text", lambda: made.load_verify_locations(cadata=tls.ca_data))


def _list(folder: str) -> None:
    from pathlib import Path  # noqa: PLC0415 - as above

    next(Path(folder).iterdir(), None)


def _load(option: str, what: str, load: Callable[[], object]) -> None:
    try:
        load()
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        said = str(getattr(error, "reason", None) or "").replace("_", " ").lower()  # of OpenSSL
        reason = said or getattr(error, "strerror", None) or "".join(map(str, error.args))
        raise ValueError(f"option {option}: cannot use {what}: {reason}") from None
