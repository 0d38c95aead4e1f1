"""The relay: from Redis Pub/Sub to the dashboards."""
