"""``python -m orderctl``: the same program where its script is not on the PATH."""

from orderctl.cli.main import main

main()
