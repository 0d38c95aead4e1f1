"""Makes the pictures and the screens of the documentation from real runs: ``make pictures``."""
