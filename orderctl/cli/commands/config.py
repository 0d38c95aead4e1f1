"""``orderctl config``: show and check the settings, and create a configuration file."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any, Final

import click

from orderctl import (
    environment,
    private_files,
    secret_files,
    setting_keys,
    setting_sections,
    setting_sources,
)
from orderctl.cli import options
from orderctl.cli.app import App, pass_app
from orderctl.cli.lazy import Group
from orderctl.counting import counted
from orderctl.errors import Conflict, ExitStatus, InvalidInput, Misconfigured
from orderctl.setting_keys import Key
from orderctl.terminal.render import Column, Where
from orderctl.terminal.table import STAYS

SHOWN: Final = (
    Column("key", keep=True),
    Column("value", priority=STAYS),
    Column("origin"),
    Column("about", where=Where.WIDE),
    Column("variable", where=Where.WIDE),
)
#: Of the user under whom the units of docs/systemd run.
PROGRAM_GROUP: Final = "orderctl"
FILES: Final = (Column("path", keep=True), Column("exists"))


@click.group(cls=Group)
def cli() -> None:
    """Show, check and create the configuration.

    Options override the environment (ORDERCTL_SECTION_KEY), which overrides the TOML files, which override
    the defaults.

    Example:
        orderctl config show
        orderctl config init
    """


@cli.command()
@options.output(SHOWN)
@pass_app
def show(app: App) -> None:
    """Show every setting with its value and its origin; secrets are masked.

    Example:
        orderctl config show
        orderctl config show -o wide
    """
    abouts = setting_sections.abouts()
    app.render(
        {
            "key": key,
            "value": None if value == "-" else value,
            "origin": origin,
            "about": abouts[key],
            "variable": environment.variable(key),
        }
        for key, value, origin in app.settings.shown()
    )


@cli.command()
@click.option(
    "--connect", is_flag=True, help="Also connect to the database and to Redis, and say what is there."
)
@pass_app
def check(app: App, *, connect: bool) -> ExitStatus:
    """Check every setting; when one is not valid, name it with its origin and exit 78.

    Servers are asked with --connect only. It exits 69 when one of them does not answer within three seconds, and 78 when
    one refuses the login. It starts nothing, and needs no migrated database. 'orderctl status' shows more.

    Example:
        orderctl config check
        orderctl config check --connect
        orderctl --config new.toml config check
    """
    count = len(app.settings.shown())
    _check_templates(app.settings.mail.templates)
    for path in app.settings.secret_files:
        if secret_files.is_exposed(path):
            app.warn(f"warning: {path} is a secret, and every user can read it: chmod 600 {path}")
    for path in filter(secret_files.is_exposed, setting_sources.files(app.config)):
        app.warn(f"warning: {path} may contain secrets, and every user can read it: chmod 600 {path}")
    app.say(
        f"{counted(count, 'setting')} checked, all valid{'.' if connect else '; no server was asked: --connect'}"
    )
    return _connect(app) if connect else ExitStatus.DONE


def _connect(app: App) -> ExitStatus:
    """Say what is found of both stores."""
    from orderctl.cli import collector, log_lines, status_lines
    from orderctl.errors import NotMigrated
    from orderctl.health import stores
    from orderctl.health.signs import State

    collector.resume()
    log_lines.mask_warnings()
    found = stores.look(app.settings)
    for sign in found:
        if sign.error is None or isinstance(sign.error, NotMigrated):
            app.say(f"{sign.store}: {status_lines.store(sign)}")
        else:
            app.warn(
                f"{sign.store}: {sign.error}" + (f"\nhint: {sign.error.hint}" if sign.error.hint else "")
            )
    if (migration := found.database.migration) is not None and migration.pending:
        app.say("next: orderctl migrate up")
    failed = [sign for sign in found if not isinstance(sign.error, NotMigrated | None)]
    if any(sign.state is State.DOWN for sign in failed):
        return ExitStatus.UNAVAILABLE
    return ExitStatus.CONFIGURATION if failed else ExitStatus.DONE


def _check_templates(folder: Path | None) -> None:
    """Write invented mails with the shop's own templates."""
    if folder is None:
        return
    from orderctl.worker import samples, templates

    templates.check(folder, samples.every())


@cli.command()
@options.output(FILES)
@pass_app
def path(app: App) -> None:
    """List the configuration files; later ones override earlier ones.

    Example:
        orderctl config path
        orderctl config path -o json
    """
    app.render({"path": file, "exists": file.exists()} for file in setting_sources.files(app.config))


@cli.command()
@click.option(
    "--system", is_flag=True, help=f"Write {setting_sources.SYSTEM_FILE}, for all users of this machine."
)
@click.option("--stdout", is_flag=True, help="Print the file instead of writing it.")
@pass_app
def init(app: App, *, system: bool, stdout: bool) -> None:
    """Create a configuration file in which every setting is listed and commented out.

    The file is the user's own, that of --config, or with --system the machine's. An existing file is never overwritten
    (exit code 4). Only its owner can read it, and with --system also the group orderctl, where there is one.

    Example:
        orderctl config init
        orderctl --config ./orderctl.toml config init
        sudo orderctl config init --system
        orderctl config init --stdout
    """
    if system and app.config:
        raise InvalidInput("--system and --config were given", hint="leave out one of them")
    if stdout:
        app.write(template())
        return
    target = setting_sources.SYSTEM_FILE if system else app.config or setting_sources.user_file()
    if target is None:
        raise Misconfigured(
            "this user has no home folder: HOME is not an absolute path",
            hint="orderctl config init --config FILE",
        )
    if system:
        _write_for_all(target)
    else:
        private_files.make_folder(target.parent)
        _write_new(target)
    option = ["--config", str(target)] if app.config else []
    app.say(f"Wrote {target}. Edit it, then:")
    for command in (["config", "check"], ["migrate", "up"]):
        app.say(f"next: {shlex.join(['orderctl', *option, *command])}")


def _write_for_all(target: Path) -> None:
    try:
        if not target.parent.exists():
            target.parent.mkdir()
            target.parent.chmod(0o755)  # a umask can have taken rights of the others
        _write_new(target)
        private_files.share(target, PROGRAM_GROUP)
    except PermissionError as error:
        raise Misconfigured(
            f"cannot write {target}: {error.strerror}", hint="sudo orderctl config init --system"
        ) from None


def _write_new(target: Path) -> None:
    try:
        # It may contain secrets, so no other user may read it.
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.fchmod(descriptor, 0o600)  # a umask can have taken rights of the owner
    except FileExistsError:
        raise Conflict(f"{target} already exists", hint="orderctl config init --stdout") from None
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - it is a descriptor
        file.write(template())


def template() -> str:
    """Return a TOML file that lists every setting with its default, commented out."""
    parts = [
        "# Settings of orderctl. A setting that is commented out has its default.\n",
        "# Which value is used, and where it comes from: orderctl config show\n",
        '# state_dir = "~/.local/state/orderctl"\n',
        f"# {setting_sections.ABOVE[setting_sections.READ_ONLY]}\n# read_only = false\n",
    ]
    for section, kind in setting_sections.SECTIONS.items():
        lines = [f"\n# {(kind.__doc__ or '').strip()}", f"[{section}]"]
        # A table in the section ends the section's own keys: it has to be the last.
        for item in sorted(setting_keys.keys_of(kind).values(), key=lambda item: bool(item.example)):
            lines += [f"# {line}" for line in _of_key(item)]
        parts.append("\n".join(lines) + "\n")
    return "".join(parts)


def _of_key(item: Key[Any]) -> list[str]:
    if item.example:
        return [item.about, *item.example.splitlines()]
    lines = [item.about, f"{item.name} = {_toml(item.default)}"]
    return [*lines, f'{item.name}_file = "/path/to/a/file"'] if item.secret else lines


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return json.dumps(value)
    return f'"{value or ""}"' if value is None or isinstance(value, str) else str(value)
