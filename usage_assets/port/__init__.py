"""Port's API and what we keep there: the client, the data model, the sync. Knows neither Dagster nor DuckDB."""
