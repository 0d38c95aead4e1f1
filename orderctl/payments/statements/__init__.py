"""Statements of an account as banks export them: CSV or JSON in, lines out. No I/O, no database."""
