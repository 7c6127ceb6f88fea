"""What everything else stands on: money, people, days, row models, one bounded HTTP client. No Dagster, no DuckDB."""
