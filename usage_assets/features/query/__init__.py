"""Questions in SQL. What sums amounts that must not be added is refused."""

from usage_assets.features import Feature

FEATURE = Feature(commands={"query": "Query the published copy or the lake in SQL. Changes nothing."})
