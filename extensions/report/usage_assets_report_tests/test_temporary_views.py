"""The report makes some views again for itself, if they are those of this release."""

import duckdb

from usage_assets_report.temporary_views import MADE, Made
from usage_assets_report_tests.conftest import NOVEMBER


def test_views_of_another_release_are_read_as_they_are() -> None:
    with duckdb.connect() as empty:
        made = Made(empty, NOVEMBER, {})
        assert [made.instead(name) for name in MADE] == [*MADE]
