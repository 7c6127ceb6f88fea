"""What the warehouse has lost is found, and let go, so that it can be fetched and computed again."""
