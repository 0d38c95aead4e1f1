"""How the installation is just now: both stores, the workers, the queue, and what has failed."""
