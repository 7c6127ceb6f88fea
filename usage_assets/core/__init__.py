"""What everything else imports: money, people, days, row models, one bounded HTTP client. No Dagster, no DuckDB."""
