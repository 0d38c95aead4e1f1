"""``orderctl help``: topics that concern all commands."""

from __future__ import annotations

import click

from orderctl.cli.app import App, pass_app
from orderctl.cli.lazy import Command
from orderctl.cli.topics import TOPICS, laid_out

#: Columns of the texts, where no terminal is narrower.
_WIDEST = 100


@click.command(cls=Command)
@click.argument("topic", type=click.Choice(list(TOPICS)), required=False)
@pass_app
def cli(app: App, topic: str | None) -> None:
    """Explain exit codes, environment variables, output and times.

    Without a topic, list the topics.

    Example:
        orderctl help exit-codes
        orderctl help times
    """
    listed = "".join(f"  {name}  {about}\n" for name, (about, _) in TOPICS.items())
    text = listed if topic is None else TOPICS[topic][1]()
    app.write(laid_out(text, min(app.view.width or _WIDEST, _WIDEST)))
