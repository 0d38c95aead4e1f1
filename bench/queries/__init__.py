"""Measure the queries of the commands, beside those that people write by hand, with up to a million orders."""
