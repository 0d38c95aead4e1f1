"""How each bank or service tells of transfers: its fields, and how its requests prove who sent them."""
