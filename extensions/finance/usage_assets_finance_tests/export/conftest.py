"""Days to look at as FOCUS has them."""

from usage_assets_tests.models.conftest import days, warehouse

__all__ = ["days", "warehouse"]
