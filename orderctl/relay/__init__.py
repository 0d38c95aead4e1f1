"""The relay: passes live messages from Redis Pub/Sub on to dashboards."""
