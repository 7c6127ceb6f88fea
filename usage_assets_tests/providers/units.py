"""What the sandbox's books count, and where it is stored."""

from demo.summary import UNITS as OF_THE_DEMO

UNITS = {table.replace(".", "/"): units for table, units in OF_THE_DEMO.items()} | {
    "anthropic_analytics/usage_by_product": {"output_tokens": "output_tokens"},
}
"""True unit -> the daily total that shows it."""
