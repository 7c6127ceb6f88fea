"""Forecasts, anomalies, budgets and guardrails, computed from the stored tables. Estimates are never added to money."""
