"""Port's API, our blueprints and entities there, and the sync. Knows neither Dagster nor DuckDB."""
