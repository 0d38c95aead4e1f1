"""Statements of an account as banks export them: CSV or JSON in, lines out. No I/O, no database."""

from __future__ import annotations

from orderctl.payments.statements.line import Line, Statement
from orderctl.payments.statements.options import FIELDS, Options
from orderctl.payments.statements.reader import read

__all__ = ["FIELDS", "Line", "Options", "Statement", "read"]
