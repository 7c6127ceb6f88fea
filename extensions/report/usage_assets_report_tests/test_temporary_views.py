"""The report makes some views again for itself, if they are those of this release and their package is there."""

import os
import subprocess
import sys

import duckdb

from usage_assets_report.figures import CERTAINTY, COSTS, ECONOMICS, OVERVIEW, SEATS, _queries
from usage_assets_report.temporary_views import MADE, Made
from usage_assets_report_tests.conftest import NOVEMBER
from usage_assets_tests.alone import needs

ALONE = """
from datetime import date

import duckdb

from usage_assets_report.figures import _queries
from usage_assets_report.period import Period
from usage_assets_report.temporary_views import MADE, Made

with duckdb.connect() as empty:
    made = Made(empty, Period.of_month(date(2026, 11, 12), date(2026, 11, 12)), {})
    assert [made.instead(name) for name in MADE] == [*MADE]
print(*_queries())
"""


def test_views_of_another_release_are_read_as_they_are() -> None:
    with duckdb.connect() as empty:
        made = Made(empty, NOVEMBER, {})
        assert [made.instead(name) for name in MADE] == [*MADE]


@needs("finance")
def test_views_and_figures_of_a_missing_package_are_left_out() -> None:
    names = {*OVERVIEW, *COSTS, *ECONOMICS, *SEATS, *CERTAINTY}
    assert names - _queries().keys() == set()
    environment = os.environ | {"USAGE_PLUGINS": "core,usage-assets-report"}
    alone = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, env=environment)
    assert alone.returncode == 0, alone.stderr
    assert names - {*alone.stdout.split()} == {"billed_twice", "delivered"}
