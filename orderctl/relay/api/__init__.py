"""What the relay answers below ``/api/``: endpoints, their queries, and the threads that run these."""
