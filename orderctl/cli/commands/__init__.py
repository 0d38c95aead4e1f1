"""The commands, a module for each: its ``cli`` is what the root group calls."""
