"""The protocols of the relay's clients: from bytes to values and back. No I/O here."""
