"""Kill processes of a running shop and count the losses: ``python -m tests.faults.chaos --help``."""
