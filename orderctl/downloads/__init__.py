"""How a task's files are fetched: the handler protocol, the registry, the http handler."""
