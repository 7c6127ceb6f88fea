"""Forecasts, anomalies and drivers of series of daily numbers. No Dagster, no DuckDB, no files."""
