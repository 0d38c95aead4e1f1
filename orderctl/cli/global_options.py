"""The options of the whole program: the stores, the configuration file, and the amount of messages."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import click

from orderctl import environment
from orderctl.cli.app import App
from orderctl.errors import InvalidInput


def options(*, hidden: bool = False, taken: Collection[str] = ()) -> list[click.Parameter]:
    """Return new instances of the shared options, for one command.

    Args:
        hidden: Whether ``--help`` leaves them out (it does below the root).
        taken: Names of the command's own options; shared options with such a name are left out.
    """
    made: list[click.Parameter] = [
        setting(
            "state_dir",
            "--state-dir",
            help="Folder of the embedded database, the embedded Redis and downloads.",
        ),
        setting("database.url", "--database-url", help="URL of the database, without a password."),
        setting("redis.url", "--redis-url", help="URL of Redis or Valkey, without a password."),
        click.Option(
            ["--config"],
            type=click.Path(path_type=Path),
            metavar="FILE",
            expose_value=False,
            callback=_config,
            help="An additional configuration file, read last.  [env: ORDERCTL_CONFIG]",
        ),
        click.Option(
            ["--read-only"],
            is_flag=True,
            expose_value=False,
            callback=_read_only,
            help="Refuse commands that change something.  [env: ORDERCTL_READ_ONLY]",
        ),
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            callback=_quiet,
            help="Print only warnings and errors on stderr.",
        ),
        click.Option(
            ["-v", "--verbose"],
            count=True,
            expose_value=False,
            callback=_verbose,
            help="Write debug messages into the log.",
        ),
    ]
    free = [item for item in made if not set(taken) & set(item.opts)]
    for item in free:
        item.hidden = hidden  # type: ignore[attr-defined]
    return free


def setting(key: str, *names: str, help: str, metavar: str | None = None, **extra: Any) -> click.Option:
    """Return an option that overrides a setting, and is checked like the setting.

    Args:
        key: The setting, such as ``worker.concurrency``.
        names: The option's names.
        help: One sentence; the environment variable is added to it.
        metavar: Name of its value in ``--help``.
        extra: Further arguments of ``click.Option``.
    """
    return click.Option(
        list(names),
        expose_value=False,
        metavar=metavar or key.rpartition(".")[2].rpartition("_")[2].upper(),
        callback=_override(key),
        help=f"{help}  [env: {environment.variable(key)}]",
        **extra,
    )


def _override(key: str) -> Callable[[click.Context, click.Parameter, str | None], None]:
    def store(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
        if value is None:
            return
        if ctx.resilient_parsing:  # the TAB key: it is checked where the value is used
            ctx.ensure_object(App).flags[key] = value
            return
        from orderctl import masking, settings

        if settings.is_secret(key) and masking.carries_secret(value):
            raise InvalidInput(
                f"{param.opts[0]}: other users could read the password in the list of processes",
                hint=f"set {environment.variable(key)}, or {key}_file in the configuration",
            )
        try:
            settings.read(key, value)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from None
        ctx.ensure_object(App).flags[key] = value

    return store


def _config(ctx: click.Context, _param: click.Parameter, value: Path | None) -> None:
    if value is not None:
        ctx.ensure_object(App).config = value


def _read_only(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(App).flags["read_only"] = "true"


def _quiet(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(App).quiet = True


def _verbose(ctx: click.Context, _param: click.Parameter, value: int) -> None:
    if value:
        ctx.ensure_object(App).verbosity += value
