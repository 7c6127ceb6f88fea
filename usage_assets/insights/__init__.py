"""What follows from what is stored: forecasts, odd days and what is left of budgets. Estimates, never money."""
