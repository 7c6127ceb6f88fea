"""Loads the fixtures of the core's tests, which those of extensions use, too."""

pytest_plugins = ["usage_assets_tests.fixtures", "usage_assets_tests.terminal"]
