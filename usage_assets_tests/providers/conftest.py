"""Clients of the sandbox's providers, as the tests of the engine use them."""

from usage_assets_tests.fetching.conftest import answers, new_client

__all__ = ["answers", "new_client"]
