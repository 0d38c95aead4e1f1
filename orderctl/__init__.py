"""Follow, control and audit a shop's orders after they are paid."""

__version__ = "0.1.0"
