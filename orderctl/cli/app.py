"""The application, with which every command works: the settings, the stores and the terminal.

Click's ``ctx.obj`` is one :class:`App`. It opens a store when a command uses it for the first time.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from orderctl.environment import Ambient, ambient
from orderctl.errors import InvalidInput, Misconfigured, OrderctlError

if TYPE_CHECKING:
    from datetime import tzinfo
    from pathlib import Path

    import redis
    from sqlalchemy import Connection, Engine

    from orderctl.settings import Settings
    from orderctl.terminal.render import Column, Format, View

T = TypeVar("T")

_ACTOR_LENGTH = 128


class Output:
    """How a command shows its rows.

    Attributes:
        columns: All columns that can be shown; the first is the row's name.
        format: From ``-o``.
        fields: Names of columns, from ``--fields``; when empty, the format decides which are shown.
        times: From ``--time-format``.
    """

    def __init__(self) -> None:
        self.columns: Sequence[Column] = ()
        self.format = "table"
        self.fields: tuple[str, ...] = ()
        self.times = "relative"


class App:
    """The application.

    Attributes:
        flags: Settings from the command line, by key.
        config: An additional configuration file.
        quiet: Whether stderr gets only warnings and errors.
        verbosity: How often ``-v`` was given.
        output: How rows are shown.
        environ: The environment; the process's own when None.
        arguments: What the user has given after the program's name.
    """

    def __init__(
        self,
        *,
        flags: dict[str, str] | None = None,
        quiet: bool = False,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.flags = {} if flags is None else flags
        self.config: Path | None = None
        self.quiet = quiet
        self.verbosity = 0
        self.output = Output()
        self.environ = environ
        self.arguments: Sequence[str] = ()
        self._running: redis.Redis | None = None

    @functools.cached_property
    def settings(self) -> Settings:
        """All settings; they are read at the first use."""
        from orderctl.settings import load

        return load(self.flags, config=self.config, environ=self.environ)

    @functools.cached_property
    def ambient(self) -> Ambient:
        """What the environment says about the terminal."""
        return ambient(self.environ)

    # --- The stores

    @property
    def database_url(self) -> str:
        """The URL of the database: the setting, or a file in the state folder."""
        from orderctl import database

        return database.url(self.settings)

    @functools.cached_property
    def engine(self) -> Engine:
        """The database."""
        from orderctl import database
        from orderctl.cli import collector, log_lines

        collector.resume()
        log_lines.mask_warnings()
        return database.connect(self.database_url, pool_size=self.settings.database.pool_size)

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one transaction, and again after a deadlock; it must only use the connection."""
        from orderctl import database

        return database.transact(self.engine, work)

    def reading(self) -> AbstractContextManager[Connection]:
        """Return a connection for queries."""
        from orderctl import database

        return database.reading(self.engine)

    def require_writable(self, command: str) -> None:
        """Refuse a command that changes something, if the setting ``read_only`` is true.

        Raises:
            Misconfigured: It is.
        """
        try:
            chosen = self.settings
        except Misconfigured:  # a command that needs the settings says so itself; `config init` does not
            return
        if chosen.read_only:
            raise Misconfigured(
                f"{command} changes something, and read_only is set ({chosen.origins_of['read_only']}):"
                " nothing was done",
                hint="orderctl config show",
            )

    def require_database(self) -> None:
        """Make sure that the database answers and is migrated, before anything is started or changed.

        Raises:
            DatabaseUnavailable: When it does not answer.
            Misconfigured: When it is not migrated.
        """
        from orderctl import outbox, tasks

        with self.reading() as connection:
            tasks.select_tasks(connection, tasks.TaskFilter(), limit=1)
            outbox.is_due(connection, outbox.Lane(()))

    @property
    def redis_url(self) -> str:
        """The URL of Redis. Without a setting it is the embedded Redis, which is started if necessary."""
        from orderctl import broker

        return broker.url(self.settings)

    @property
    def running_redis(self) -> redis.Redis | None:
        """A client whose commands fail as those of :attr:`redis` do; None while it is the embedded Redis, and that does not run. It is not started."""
        from orderctl import broker

        if self._running is None and (url := broker.running_url(self.settings)) is not None:
            self._running = broker.brisk(url)
        return self._running

    @functools.cached_property
    def redis(self) -> redis.Redis:
        """A Redis client whose commands fail when Redis does not answer within three seconds."""
        from orderctl import broker
        from orderctl.cli import collector

        collector.resume()
        return broker.brisk(self.redis_url)

    def close(self) -> None:
        """Close the stores. The next use opens them again."""
        for name, end in (("engine", "dispose"), ("redis", "close")):
            if name in self.__dict__:
                getattr(self.__dict__.pop(name), end)()
        if self._running is not None:
            self._running.close()
            self._running = None

    @functools.cached_property
    def actor(self) -> str:
        """The caller as ``user@host``, for the audit log; from the system, not from the environment."""
        import pwd

        try:
            user = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            user = f"uid {os.getuid()}"
        return f"{user}@{os.uname().nodename}"[:_ACTOR_LENGTH]

    # --- The terminal

    @property
    def out(self) -> TextIO:
        """The stream for data."""
        return sys.stdout

    @property
    def err(self) -> TextIO:
        """The stream for everything that is not data."""
        return sys.stderr

    @property
    def interactive(self) -> bool:
        """Whether a user can be asked: standard input and standard error are terminals."""
        return _is_terminal(sys.stdin) and _is_terminal(self.err)

    def colored(self, stream: TextIO) -> bool:
        """Return whether to use colours on a stream."""
        if self.ambient.no_color:
            return False
        return self.ambient.force_color or (stream.isatty() and self.ambient.terminal != "dumb")

    @property
    def zone(self) -> tzinfo | None:
        """The time zone in which times are shown; None is the machine's own."""
        name = self.settings.display.time_zone
        if name == "local":
            return None
        from zoneinfo import ZoneInfo

        return ZoneInfo(name)

    @property
    def view(self) -> View:
        """How values look on this terminal."""
        import shutil

        from orderctl.terminal.render import View

        cuts = self.out.isatty() and self.output.format == "table"
        return View(
            width=shutil.get_terminal_size().columns if cuts else None,
            color=self.colored(self.out),
            times=self.output.times,
            zone=self.zone if self.output.times == "local" else None,
        )

    # --- Output

    def render(
        self, rows: Iterable[Any], columns: Sequence[Column] | None = None, *, nothing: str | None = None
    ) -> None:
        """Show rows in the format of ``-o`` with the columns of ``--fields``; each piece is written at once.

        Args:
            rows: Mappings, or objects with attributes. ``jsonl``, ``csv``, ``tsv`` and ``name`` take them
                one by one, so there may be no end to them.
            columns: All columns that can be shown; those of ``options.output`` when None.
            nothing: What is said on stderr if there are no rows, unless the format is one for programs.
        """
        from orderctl.terminal import formats

        come = _Coming(rows)
        for piece in formats.rows(come, self._chosen(columns), self.format, self.view):
            self.write(piece)
        self._say_if_empty(come, nothing)

    def render_pages(self, pages: Iterable[Sequence[Any]], *, nothing: str | None = None) -> None:
        """Show pages of rows as :meth:`render` shows rows; each is written before the next is asked for."""
        from orderctl.terminal import formats

        come = _Coming(pages)
        for piece in formats.pages(come, self._chosen(None), self.format, self.view):
            self.write(piece)
        self._say_if_empty(come, nothing)

    def _say_if_empty(self, come: _Coming, nothing: str | None) -> None:
        if nothing is not None and not come.any:
            from orderctl.cli import nothing as answers

            answers.say(self, nothing)

    def rendered(self, rows: Iterable[Any], columns: Sequence[Column] | None = None) -> str:
        """Return the text that :meth:`render` would write."""
        from orderctl.terminal import formats

        return "".join(formats.rows(rows, self._chosen(columns), self.format, self.view))

    def write_document(self, value: Any) -> None:
        """Write a value as one JSON document, whatever ``-o`` says."""
        from orderctl.terminal import render

        self.write(render.document(value) + "\n")

    def render_one(self, item: Any, human: Callable[[View], str] | None = None) -> None:
        """Show one item: in JSON as an object, for people as ``human`` draws it or one line for each field.

        Args:
            item: A mapping, or an object with attributes.
            human: Returns the text for people. It is not used when ``--fields`` is given.
        """
        from orderctl.terminal import render

        form, chosen = self.format, self._chosen(None)
        if form is render.Format.JSON:
            self.write(render.document(render.record(item, chosen)) + "\n")
        elif form not in {render.Format.TABLE, render.Format.WIDE}:
            self.render([item])
        elif human is not None and not self.output.fields:
            self.write(human(self.view))
        else:
            self.write(render.card(item, chosen, self.view))

    @property
    def columns(self) -> Sequence[Column]:
        """The columns that are shown: those of ``--fields``, or those of the format."""
        return self._chosen(None)

    @property
    def format(self) -> Format:
        """The format from ``-o``."""
        from orderctl.terminal.render import Format

        return Format(self.output.format)

    def _chosen(self, columns: Sequence[Column] | None) -> Sequence[Column]:
        from orderctl.terminal import render

        offered = self.output.columns if columns is None else columns
        if not self.output.fields:
            return render.shown_in(offered, self.format)
        named = {column.name: column for column in offered}
        chosen = [render.staying(named[name]) for name in self.output.fields if name in named]
        if not chosen:
            raise InvalidInput(
                f"these rows have no column {', '.join(self.output.fields)}",
                hint=f"the columns are {', '.join(named)}",
            )
        return chosen

    def write(self, text: str) -> None:
        """Write data to stdout at once."""
        self.out.write(text)
        self.out.flush()

    def log(self) -> None:
        """Write the log of a long-running command to stderr."""
        import logging

        from orderctl.cli import collector, log_lines

        collector.resume()
        level = logging.WARNING if self.quiet else logging.DEBUG if self.verbosity else logging.INFO
        handler = logging.StreamHandler(self.err)
        form = self.settings.log.format
        handler.setFormatter(log_lines.formatter(form, self.err, self.ambient.journal))
        logging.basicConfig(level=level, handlers=[handler], force=True)
        for name in ("rq.worker", "rq.job", "rq.queue", "rq.scripts"):
            logging.getLogger(name).setLevel(max(level, logging.WARNING))

    def say(self, text: str, *, logged: bool = False) -> None:
        """Print a message to the user on stderr, unless ``-q`` was given.

        Args:
            text: The message.
            logged: Whether it is a line of the log like the others, while one is written.
        """
        if not self.quiet:
            self._tell(text, "INFO", logged=logged)

    def warn(self, text: str) -> None:
        """Print a message to the user on stderr, even with ``-q``."""
        self._tell(text, "WARNING")

    def _tell(self, text: str, level: str, *, logged: bool = False) -> None:
        from orderctl import masking
        from orderctl.terminal import sanitise

        if not self._logged(text, level, logged=logged):
            click.echo(sanitise.block(masking.foreign(text)), err=True)

    def _logged(self, text: str, level: str, *, logged: bool) -> bool:
        """Write a message as a line of the log, if programs read stderr: systemd's journal, or those of JSON."""
        if not logged and not self.ambient.journal and "orderctl.cli.log_lines" not in sys.modules:
            return False
        import logging

        from orderctl.cli import log_lines

        return log_lines.say(text, getattr(logging, level), self.err, self.ambient.journal, logged=logged)

    def confirm(self, question: str) -> None:
        """Ask the user for confirmation.

        Raises:
            InvalidInput: When standard input or standard error is not a terminal.
            OrderctlError: When the user's answer is no.
        """
        from orderctl.terminal import sanitise

        if not self.interactive:
            closed = "standard error" if _is_terminal(sys.stdin) else "standard input"
            raise InvalidInput(
                f'cannot ask "{question}": {closed} is not a terminal',
                hint="add --yes to confirm without a question",
            )
        if not click.confirm(sanitise.line(question), err=True):
            raise OrderctlError("not confirmed: nothing was changed")


class _Coming:
    """Passes rows, or pages of them, on; notes whether there was one."""

    def __init__(self, items: Iterable[Any]) -> None:
        self.any = False
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            self.any = self.any or not isinstance(item, list | tuple) or bool(item)
            yield item


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


pass_app = click.make_pass_decorator(App, ensure=True)
