"""A supervisor without workers: what it retries, the test completes. 50,000 downloads would take half an hour."""

import logging

from orderctl.settings import load
from orderctl.worker.supervisor import Supervisor


def main() -> None:
    """Run until a signal."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(levelname)s %(message)s")
    supervisor = Supervisor(load())
    supervisor._children = [child for child in supervisor._children if child.kind != "worker"]
    supervisor.run()


if __name__ == "__main__":
    main()
