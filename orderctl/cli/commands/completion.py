"""``orderctl completion``: scripts that let a shell complete commands and options."""

from __future__ import annotations

import click

from orderctl.cli.app import App, pass_app
from orderctl.cli.lazy import Command
from orderctl.environment import COMPLETION

SHELLS = ("bash", "zsh", "fish")


def script(shell: str) -> str:
    """Return the completion script for a shell."""
    from click.shell_completion import get_completion_class

    from orderctl.cli.main import PROGRAM, root

    found = get_completion_class(shell)
    if found is None:
        raise ValueError(f"no completion for {shell}")
    maker = found(root, {}, PROGRAM, COMPLETION)
    # Not maker.source(): for bash that starts a bash and warns about its version on stderr.
    return (maker.source_template % maker.source_vars()).strip() + "\n"


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
