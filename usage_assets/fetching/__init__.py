"""The engine that fetches any endpoint: windows, pages, retries, control totals, archive. No Dagster, no DuckDB."""
