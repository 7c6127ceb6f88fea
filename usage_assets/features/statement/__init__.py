"""What each cost center owes for a month, as CSV, XLSX and PDF, and what was issued of it.

Costs come from the views that the report reads. Nothing here knows a provider.
"""

from usage_assets.core.features import Feature

FEATURE = Feature(commands={"statement": "Write what each cost center owes for a month, and verify it."})
