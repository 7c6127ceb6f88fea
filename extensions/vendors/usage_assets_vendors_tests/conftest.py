"""Days to derive from, and clients of the sandbox."""

from usage_assets_tests.ephemeral import ephemeral_instances_keep_their_connection
from usage_assets_tests.fetching.conftest import answers, new_client, one_plan_per_asset
from usage_assets_tests.models.conftest import days, new_days, warehouse

__all__ = [
    "answers",
    "days",
    "ephemeral_instances_keep_their_connection",
    "new_client",
    "new_days",
    "one_plan_per_asset",
    "warehouse",
]
