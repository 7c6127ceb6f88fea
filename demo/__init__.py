"""`make demo`: runs everything against the sandbox, in its own Dagster home, and compares the stored totals with it."""
