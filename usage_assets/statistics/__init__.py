"""Forecasts, anomalies and what drives a difference, of series of daily numbers. No Dagster, no DuckDB, no files."""
