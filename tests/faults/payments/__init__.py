"""A storm of deliveries: each transfer of money counts once, whatever is killed."""
