"""Orders while processes die, servers go away and networks fail."""
