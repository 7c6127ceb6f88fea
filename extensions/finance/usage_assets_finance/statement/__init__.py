"""What each cost center owes for a month, as CSV, XLSX and PDF, and what was issued of it.

Costs come from the views that the report reads. Nothing here knows a provider.
"""
