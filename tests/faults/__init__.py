"""What becomes of orders when processes die, servers go away and networks lie."""
