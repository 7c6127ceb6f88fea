"""The warehouse as sources of a dbt project: tables, columns, the test of each grain, freshness. Never imports dbt."""

from usage_assets.features import Feature

FEATURE = Feature(commands={"dbt": "Write what a dbt project needs to read the warehouse."})
