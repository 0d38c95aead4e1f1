"""What the lying server does: one table for each kind of lie, and what must come out."""
