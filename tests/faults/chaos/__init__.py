"""A storm of kills over a working shop, and the count of what it cost: ``python -m tests.faults.chaos --help``."""
