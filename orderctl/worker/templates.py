"""The templates of mails: finds those of the shop or ours, checks and renders them.

A template is Jinja2's, in its sandbox. ``NAME.txt`` begins with ``Subject: ...`` and a blank line; the text follows.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from jinja2 import FunctionLoader, StrictUndefined, TemplateNotFound, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from orderctl.errors import Misconfigured

#: The mails, each with a text and an HTML part.
MAILS: Final = ("order", "failure", "payments", "webhook")
#: The names of all template files. The HTML parts extend the last one.
FILES: Final = (*(f"{name}.{part}" for name in MAILS for part in ("txt", "html")), "layout.html")
_OURS: Final = Path(__file__).parent / "mails"
_SETTING: Final = "setting mail.templates"
_FORM: Final = "the first line has to be Subject: and the subject, the second one blank"


class TemplateFault(Misconfigured):
    """A template of a mail cannot be read or rendered."""


@dataclass(frozen=True, slots=True)
class Written:
    """A mail's subject and its two parts."""

    subject: str
    text: str
    html: str


def render(name: str, facts: Mapping[str, Any], folder: Path | None) -> Written:
    """Write a mail.

    Args:
        name: One of :data:`MAILS`.
        facts: The variables of the templates.
        folder: The shop's own templates. They are read again when they have changed.

    Raises:
        TemplateFault: A template cannot be read or rendered, or the mail is empty or has no subject.
    """
    subject, text = _divide(f"{name}.txt", _render(f"{name}.txt", facts, folder), folder)
    html = _render(f"{name}.html", {**facts, "subject": subject}, folder).strip()
    if not html:
        raise _fault(_find(folder, f"{name}.html"), None, "the mail is empty")
    return Written(subject, text, f"{html}\n")


def check(folder: Path, samples: Iterable[tuple[str, Mapping[str, Any]]] = ()) -> None:
    """Read every template of the shop's folder, and write mails with them.

    Args:
        folder: The folder.
        samples: The mails to be written: the name and the variables of each.

    Raises:
        TemplateFault: The folder or a file cannot be read, a file is not a template, or a template has an error.
    """
    for path in _listed(folder):
        if path.name not in FILES:
            raise TemplateFault(
                f"{_SETTING}: {path} is not a template of a mail: allowed is {', '.join(FILES)}"
            )
        _compile(path.name, folder)
    for name, facts in samples:
        render(name, facts, folder)


def _listed(folder: Path) -> list[Path]:
    """Return the files of a folder without hidden ones and the copies that editors leave."""
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise TemplateFault(f"{_SETTING}: the folder {folder} cannot be read: {error.strerror}") from None
    return [path for path in found if not path.name.startswith(".") and not path.name.endswith("~")]


def _compile(name: str, folder: Path) -> None:
    try:
        _environment(folder).get_template(name)
    except TemplateSyntaxError as error:
        raise _fault(_find(folder, name), error.lineno, error.message or "syntax error") from None


def _render(name: str, facts: Mapping[str, Any], folder: Path | None) -> str:
    try:
        return _environment(folder).get_template(name).render(facts)
    except TemplateFault:
        raise
    except TemplateSyntaxError as error:
        raise _fault(_find(folder, error.name or name), error.lineno, str(error.message)) from error
    except Exception as error:  # a template can do what any program can
        name, line = _place(error, name)
        raise _fault(_find(folder, name), line, _said(error)) from error


def _said(error: Exception) -> str:
    if isinstance(error, TemplateNotFound):
        return f"the template {error.name} does not exist: allowed is {', '.join(FILES)}"
    first = str(error).partition("\n")[0]
    return first if type(error).__module__.startswith("jinja2") else f"{type(error).__name__}: {first}"


def _place(error: Exception, name: str) -> tuple[str, int | None]:
    """Return the template and the line where an error was raised; Jinja2 puts both into the traceback."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if file.name in FILES:
            return file.name, frame.lineno
    return name, None


def _fault(path: Path, line: int | None, reason: str) -> TemplateFault:
    place = f"{path}, line {line}" if line else str(path)
    return TemplateFault(f"{_SETTING}: {place}: {reason}")


def _divide(name: str, text: str, folder: Path | None) -> tuple[str, str]:
    """Return the subject and the text that a template has rendered."""
    first, _, rest = text.strip().partition("\n")
    label, _, subject = first.partition(":")
    blank, _, body = rest.partition("\n")
    if label.strip().lower() != "subject" or not subject.strip() or blank.strip():
        raise _fault(_find(folder, name), None, _FORM)
    if not body.strip():
        raise _fault(_find(folder, name), None, "the mail is empty")
    return subject.strip(), re.sub(r"\n\s*\n\n+", "\n\n", body.strip("\n")) + "\n"


@cache
def _environment(folder: Path | None) -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        loader=FunctionLoader(partial(_load, folder)),
        undefined=_Missing,
        autoescape=lambda name: name is not None and name.endswith(".html"),
        trim_blocks=True,
        lstrip_blocks=True,
    )


class _Missing(StrictUndefined):
    """A variable that a mail does not have. Its use is an error, whose message names those that there are."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:  # what the sandbox refuses
            return self._undefined_hint
        there = self._undefined_obj
        known = f": there are {', '.join(map(str, there))}" if isinstance(there, dict) else ""
        return f"there is no variable {self._undefined_name!r}{known}"


def _load(folder: Path | None, name: str) -> tuple[str, str, Callable[[], bool]] | None:
    """Return what Jinja2 wants of a template: its source, its file, and whether that is still the same."""
    if name not in FILES:
        return None
    if folder and not folder.is_dir():  # a file system that is not mounted: ours would be in other words
        raise TemplateFault(
            f"{_SETTING}: the folder {folder} cannot be read: it does not exist, or is not a folder"
        )
    path = _find(folder, name)
    stamp = _stamp(path)
    return _read(path), str(path), lambda: _find(folder, name) == path and _stamp(path) == stamp


def _find(folder: Path | None, name: str) -> Path:
    """Return the shop's file of a template, else ours."""
    own = folder / name if folder else None
    return own if own and (own.exists() or own.is_symlink()) else _OURS / name


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _read(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():  # a pipe would never end
            raise _fault(path, None, "it is not a file")
        data = path.read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise _fault(path, None, f"it cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise _fault(path, data[: error.start].count(b"\n") + 1, "it is not in UTF-8") from None
