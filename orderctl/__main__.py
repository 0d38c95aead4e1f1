"""Run orderctl by ``python -m orderctl``."""

from orderctl.cli.main import main

main()
