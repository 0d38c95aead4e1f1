"""See, steer and trust what happens to a shop's orders after the money came in."""

__version__ = "0.1.0"
