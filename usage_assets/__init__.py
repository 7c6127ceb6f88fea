"""Usage and cost of AI providers as Dagster assets."""
