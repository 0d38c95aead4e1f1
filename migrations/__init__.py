"""The migrations of orderctl's tables, installed as ``orderctl.migrations``."""
