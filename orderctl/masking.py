"""Masks secrets in what leaves orderctl: users, passwords and query values of URLs, and known secrets in texts.

The URL of a course stands in its task's row alone. Everything else that is written or shown passes through here:
audit events, messages, mails, webhooks, the API, tables, logs and errors.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any, Final
from urllib.parse import unquote, unquote_plus

#: Stands in the place of a secret.
HIDDEN: Final = "***"
#: A shorter secret is masked in URLs, but not in other texts: it would be found in half of the words.
LEAST: Final = 6
#: A secret that is an ordinary word up to this length is masked only where it stands as a word.
_LONGEST_WORD: Final = 12
_DEEPEST: Final = 100
_MOST_NESTED: Final = 10
#: Keys of JSON objects whose URL is meant for the customer.
_LINKS: Final = frozenset({"driveLink", "drive_link"})

#: What stands before a host, also where it is misspelt: ``https://``, ``//``, ``http//``, ``https:/``.
_SCHEME: Final = re.compile(r"\W*(?:https?|ftps?):?[/\\]+|(?:[^/?#@:]*:|\s*)//", re.IGNORECASE)
_HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:.%\w]*\]|[\w.~%-]*)(?::([0-9]{0,5}))?")
_AUTHORITY: Final = re.compile(r"[^/?#\\]*")
_PATH: Final = re.compile(r"[^?#]*")
#: A query that was taken for a part of the path: ``a.mp4%3Fsig%3Dab``.
_ENCODED_QUERY: Final = re.compile(r"(%(?:25)*3[Ff])[^/?#]{1,100}?%(?:25)*3[Dd][^/]*")
_ACCOUNT: Final = re.compile(r"[\w.-]{1,32}")
_NAME: Final = re.compile(r"[\w.~%:\[\]$-]{1,64}", re.ASCII)
_PARAMETER: Final = re.compile(r";([^;=/]*)=[^;/]+")
#: Ends like a URL in a sentence, in quotes or in brackets; an apostrophe belongs to it if more of it follows.
_REST: Final = r"(?:[^\s<>\"']|'(?![\s,)\]}:;.]|$))+"


def url(text: str) -> str:
    """Return a URL without its secrets: ``https://***@host/path?id=***``.

    A text that is not a URL is taken for one without a scheme. A user or a password with characters that should have
    been escaped is masked up to the last ``@``.
    """
    scheme, user, host, rest = _split(text)
    return f"{scheme}{HIDDEN if user else ''}{user[-1:]}{_host(host)}{_behind(rest)}"


def setting(text: str) -> str:
    """Return the URL of a server of ours without its secrets; the account stays, as in ``mysql://shop:***@host/name``.

    A user without a password is a token in URLs of the web, and in those of Redis mostly a password.
    """
    scheme, user, _, _ = _split(text)
    name, colon, _ = user.removesuffix("@").partition(":")
    known = scheme.lower().startswith(("mysql", "mariadb", "smtp")) or (
        colon and not scheme.startswith("http")
    )
    if not (known and _ACCOUNT.fullmatch(name)):
        return url(text)
    return f"{scheme}{name}{f':{HIDDEN}' if colon else ''}@{url(text).partition('@')[2]}"


def webhook(text: str) -> str:
    """Return the URL of a webhook without its secrets: a token may stand in its path, too."""
    scheme, user, host, rest = _split(url(text))
    return f"{scheme}{user}{host}{f'/{HIDDEN}' if rest.strip('/') else rest}"


def _split(text: str) -> tuple[str, str, str, str]:
    """Return the parts: ``scheme://``, ``user:password@``, ``host:port``, and the rest; any of them may be empty."""
    found = _SCHEME.match(text)
    scheme = found[0] if found else ""
    rest = text.removeprefix(scheme)
    begin, end = _authority(rest, 0)
    begin = rest.rfind("@", 0, end) + 1
    last = rest.rfind("@")
    if last >= end and _is_cut(rest[begin:end], rest[end:], with_user=begin > 0):
        begin, end = _authority(rest, last + 1)
    return scheme, rest[:begin], rest[begin:end], rest[end:]


def _authority(rest: str, begin: int) -> tuple[int, int]:
    found = _AUTHORITY.match(rest, begin)
    return begin, found.end() if found else begin


def _is_cut(host: str, rest: str, *, with_user: bool) -> bool:
    """Whether an ``@`` in the rest ends a password that this seems to have ended before, at a ``/``, for example."""
    found = _HOST.fullmatch(host)
    certain = found is not None and ("." in host or host.startswith(("[", "localhost")))
    if with_user:
        return not certain or "@" in _PATH.match(rest)[0]  # type: ignore[index]
    return found is None or (found[1] is not None and not certain)


def _host(text: str) -> str:
    if _HOST.fullmatch(text):
        return text
    name, colon, _ = text.partition(":")
    return f"{name}:{HIDDEN}" if colon and _HOST.fullmatch(name) else HIDDEN


def _behind(text: str) -> str:
    """Return what follows the host, masked: path, query, fragment."""
    before, hash_, _ = text.partition("#")
    path, mark, query = before.partition("?")
    if ";" in path:
        path = _PARAMETER.sub(rf";\1={HIDDEN}", path)
    if path.count("//") + path.count("\\/") > _MOST_NESTED:
        path = f"/{HIDDEN}"
    if "%" in path:
        path = _ENCODED_QUERY.sub(rf"\1{HIDDEN}", path)
    if "//" in path or "%" in path:
        path = _in_text().sub(_masked, path)
    return f"{path}{mark}{_query(query)}{f'#{HIDDEN}' if hash_ else ''}"


def _query(text: str) -> str:
    return "&".join(map(_pair, text.split("&"))) if text else ""


def _pair(text: str) -> str:
    name, equals, value = text.partition("=")
    if not text or (equals and value.strip("=") and _NAME.fullmatch(name)):
        return f"{name}={HIDDEN}" if text else ""
    # A token has no name, and one in base64 may end with an equals sign.
    return f"{name}=" if text == f"{name}=" and len(name) < LEAST else HIDDEN


def carries_secret(url: str) -> bool:
    """Whether a URL has a password, or an option whose name says that it is secret."""
    # The options' names may be URL-encoded. A password may contain "#" or "/". A path of SQLite is not a password.
    written = unquote(url)
    return bool(
        re.match(r"(?!sqlite)[^/]*:/*[^:@/?#]*:[^@]+@", url, re.IGNORECASE)
        or _secret_option().search(written)
    )


@cache  # compiled when it is needed: most starts of the program need none
def _in_text() -> re.Pattern[str]:
    """Return a pattern of what may have a secret in a text: a URL, one that is URL-encoded, or a path with a query.

    A URL may have no scheme, if it has a user, and backslashes before its slashes, as in JSON that PHP writes.
    """
    # Each part is bounded, or begins only where no character of its own stands before: a long text takes no time.
    scheme = "[A-Za-z][A-Za-z0-9+.-]{0,30}"
    return re.compile(
        rf"(?P<url>(?:{scheme}:(?P<slash>\\{{0,8}}/)\\{{0,8}}/|(?<![\w.:/\\])//(?=[^\s/@<>\"']*@)){_REST})"
        rf"|(?P<encoded>{scheme}%(?:25)*3[Aa](?:%(?:25)*2[Ff]|/){{2}})[^\s<>\"'&]+"
        rf"|(?P<path>(?:(?<![\w./])/|(?<![\w%.~-])[\w%.~-]+\.[A-Za-z]\w{{0,4}}(?=\?))[^\s?<>\"']{{0,300}})"
        rf"\?(?P<query>(?=[^\s<>\"'=]{{1,100}}=){_REST})"
    )


@cache  # compiled when it is needed: most starts of the program need none
def _header() -> re.Pattern[str]:
    """Return a pattern of a header in which a client shows who it is, as programs print it, with its value."""
    return re.compile(
        r"""\b((?:proxy-)?authorization|(?:set-)?cookie2?|x-[\w-]{0,40}(?:token|key|secret|signature))(['"]?\s*[:=,]\s*)"""
        r"""(?:b?"[^"\r\n]*"?|b?'[^'\r\n]*'?|"""
        r"""(?:(?:basic|bearer|digest|token|negotiate)\s+)?[^\s'",;]+(?:;\s*[^\s'",;]+)*)""",
        re.IGNORECASE,
    )


@cache  # compiled when it is needed: most starts of the program need none
def _secret_option() -> re.Pattern[str]:
    """Return a pattern of an option of a URL whose name says that its value is secret."""
    return re.compile(
        r"[?&;#][^=&]*(?:passw|pwd|passphrase|secret|token|signature|credential|auth|api[-_]?key|\bsig\b)[^=&]*=[^&]",
        re.IGNORECASE,
    )


def text(text: str, *secrets: str) -> str:
    """Return a text in which each URL, each path with a query, and each of the given secrets is masked.

    Args:
        text: Any text, such as the message of an exception.
        secrets: Of at least :data:`LEAST` characters; see :func:`secrets`. Each is also found URL-encoded, in base64,
            or with backslashes as in the source of a program.
    """
    if secrets:
        text = _without(text, secrets)
    if "//" in text or "?" in text or "%" in text or "\\/" in text:
        return _in_text().sub(_masked, text)
    return text


_text = text  # for functions with an argument of this name


def _masked(found: re.Match[str]) -> str:
    if found["encoded"]:
        return f"{found['encoded']}{HIDDEN}"
    given = found["url"] or found["query"]
    bare = given.rstrip("),.:;]}")  # they end the sentence or the brackets around it
    if not found["url"]:
        masked = f"{found['path']}?{_query(bare)}"
    elif "\\" in (slash := found["slash"] or ""):
        masked = url(bare.replace(slash, "/")).replace("/", slash)
    else:
        masked = url(bare)
    return f"{masked}{given[len(bare) :]}"


def of_task(text: str, url: str) -> str:
    """Return a text about a task, masked as by :func:`text`, and without the secrets of the task's URL.

    It is quick, for the rows of a table: the secrets are searched for as they stand in the URL, and decoded.
    """
    for secret in secrets(url):
        for form in (secret, unquote(secret)):
            text = text.replace(form, HIDDEN)
    return _text(text)


def values(value: Any, depth: int = 0) -> Any:
    """Return a value of JSON in which each text is masked as by :func:`text`, except links for the customer."""
    if isinstance(value, str):
        return text(value)
    if not isinstance(value, dict | list | tuple):
        return value
    if depth > _DEEPEST:
        return HIDDEN
    if isinstance(value, dict):
        return {
            text(key) if isinstance(key, str) else key: inner if key in _LINKS else values(inner, depth + 1)
            for key, inner in value.items()
        }
    return [values(inner, depth + 1) for inner in value]


def secrets(url: str) -> tuple[str, ...]:
    """Return what is secret in a URL: the password, or the user without one, the values of the query, the fragment."""
    _, user, _, rest = _split(url)
    name, colon, password = user.removesuffix("@").partition(":")
    before, _, fragment = rest.partition("#")
    path, _, query = before.partition("?")
    found = [password if colon else name, fragment, *_PARAMETER_VALUE.findall(path)]
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        found.append(value if value.strip("=") else key)
    return tuple(dict.fromkeys(one for one in found if len(one) >= LEAST))


_PARAMETER_VALUE: Final = re.compile(r";[^;=/]*=([^;/?#]+)")

# --- What this process knows

_settings: tuple[str, ...] = ()
_tasks: tuple[tuple[str, ...], ...] = ()


def learn(known: Iterable[str]) -> None:
    """Remember the secrets of the settings, for :func:`foreign`; they take the place of those before."""
    global _settings  # noqa: PLW0603 - a line of the log has no other way to them
    _settings = tuple(dict.fromkeys(one for one in known if len(one) >= LEAST))


@contextmanager
def knowing(*known: str) -> Iterator[None]:
    """Remember further secrets, such as those of a task's URL, for :func:`foreign`, while the block runs."""
    global _tasks  # noqa: PLW0603 - as above
    _tasks = (*_tasks, known)
    try:
        yield
    finally:
        left = list(_tasks)
        left.remove(known)
        _tasks = tuple(left)


def foreign(text: str, *secrets: str) -> str:
    """Return a text that another program or a library made, masked: an error, the answer of a server, a line of a log.

    Beside what :func:`text` masks, these are headers with credentials, and the secrets that the process knows.
    """
    masked = _text(text, *secrets, *_settings, *(one for known in _tasks for one in known))
    if ":" not in masked and "=" not in masked and "," not in masked:  # such as the name of a file
        return masked
    return _header().sub(rf"\1\2{HIDDEN}", masked)


#: Characters before which JSON and the source of a program may have backslashes.
_ESCAPED: Final = "'\"/\\"
#: Characters that a form or HTML writes in another way.
_ENTITIES: Final = {
    " ": r"\+",
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&(?:quot|#34);",
    "'": "&#(?:39|x27);",
}


def _without(text: str, secrets: Iterable[str]) -> str:
    wanted = dict.fromkeys(plain for one in secrets for plain in (one, unquote(one), unquote_plus(one)))
    standard = text.replace("-", "+").replace("_", "/")
    for secret in sorted(wanted, key=len, reverse=True):
        if len(secret) >= LEAST and any(sign in text or sign in standard for sign in _signs(secret)):
            text = _pattern(secret).sub(HIDDEN, text)
    return text


@lru_cache(maxsize=1024)
def _signs(secret: str) -> tuple[str, ...]:
    """Return texts one of which is in every text that has the secret: to search for them costs little."""
    run = max(_RUN.findall(secret) or [""], key=len)
    return (run, *_in_base64(secret))


def _in_base64(secret: str) -> Iterator[str]:
    """Yield what base64 makes of the secret, whatever stands before and behind it."""
    content = secret.encode("utf-8", "surrogateescape")
    for shift, cut in ((0, 0), (1, 2), (2, 3)):
        encoded = b2a_base64(bytes(shift) + content, newline=False).decode()[
            cut : (shift + len(content)) * 8 // 6
        ]
        if len(encoded) >= LEAST:
            yield encoded


_RUN: Final = re.compile("[A-Za-z0-9]+")


@lru_cache(maxsize=256)
def _pattern(secret: str) -> re.Pattern[str]:
    """Return a pattern of a secret in all forms in which it may stand in a text."""
    escaped = "".join(map(_character, secret))
    if secret.isalpha() and len(secret) <= _LONGEST_WORD:
        escaped = rf"(?<![^\W_]){escaped}(?![^\W_])"
    encoded = (re.escape(one).replace(r"\+", "[+-]").replace("/", "[/_]") for one in _in_base64(secret))
    return re.compile("|".join([escaped, *encoded]))


def _character(character: str) -> str:
    """Return a pattern of a character: as it is, URL-encoded (perhaps several times), or escaped by a program."""
    octets = [f"{octet:02x}" for octet in character.encode("utf-8", "surrogateescape")]
    forms = [
        rf"\\*{re.escape(character)}" if character in _ESCAPED else re.escape(character),
        "".join(f"%(?:25)*{_digits(octet)}" for octet in octets),
    ]
    if character in _ENTITIES:
        forms.append(_ENTITIES[character])
    if not character.isascii():
        forms.append("".join(rf"\\+x{_digits(octet)}" for octet in octets))
        forms += [rf"\\+u{_digits(f'{ord(character):04x}')}", rf"\\+x{_digits(f'{ord(character):02x}')}"]
    return f"(?:{'|'.join(forms)})"


def _digits(text: str) -> str:
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in text)
