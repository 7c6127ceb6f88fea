"""Questions in SQL. What sums amounts that must not be added is refused."""

from usage_assets.features import Feature

FEATURE = Feature(commands={"query": "Query the warehouse in SQL. Changes nothing."})
