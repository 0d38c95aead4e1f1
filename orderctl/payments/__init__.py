"""Money in: transfers as banks tell them, the ledger that keeps each once, and the orders that they pay."""
