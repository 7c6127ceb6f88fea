"""The core's projects."""

from usage_assets_tests.end_to_end.conftest import place, project, small_project

__all__ = ["place", "project", "small_project"]
