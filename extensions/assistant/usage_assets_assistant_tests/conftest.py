"""A lake for commands, as for the warehouse's own tests."""

from usage_assets_tests.warehouse.conftest import lake

__all__ = ["lake"]
