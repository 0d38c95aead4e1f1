"""Private servers for the tests: Redis or Valkey, MariaDB, MySQL."""
