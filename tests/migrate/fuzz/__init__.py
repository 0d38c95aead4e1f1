"""Shops' databases at random: each is adopted and works, or is refused and not touched. See ``trial``."""
