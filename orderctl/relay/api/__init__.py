"""The HTTP API below ``/api/``: its endpoints, their queries, and the threads that run the queries."""
