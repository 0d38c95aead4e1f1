"""``orderctl completion``: scripts that let a shell complete commands and options."""

from __future__ import annotations

import click

from orderctl.cli.app import App, pass_app
from orderctl.cli.lazy import Command

SHELLS = ("bash", "zsh", "fish")


def script(shell: str) -> str:
    """Return the completion script for a shell."""
    from orderctl.cli import shells

    return shells.SHELLS[shell].source_template


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(SHELLS))
@pass_app
def cli(app: App, shell: str) -> None:
    """Print the completion script for a shell.

    Example:
        orderctl completion bash > ~/.local/share/bash-completion/completions/orderctl
        orderctl completion zsh > "${fpath[1]}/_orderctl"
        orderctl completion fish > ~/.config/fish/completions/orderctl.fish
    """
    app.write(script(shell))
