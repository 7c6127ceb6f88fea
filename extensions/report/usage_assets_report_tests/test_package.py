"""What the package consists of, and what each of its parts loads."""

from pathlib import Path

import usage_assets_report
from usage_assets.models.model import sql_files
from usage_assets_tests.alone import core_alone
from usage_assets_tests.loaded import loaded_by

PACKAGE = Path(usage_assets_report.__file__).parent
DAGSTER = {"dagster", "dagster_shared"}
STATISTICS = ", ".join(f"usage_assets_report.statistics.{name}" for name in ("anomalies", "forecast", "drivers"))


def test_its_sql_is_found_and_without_it_is_not() -> None:
    for pattern in ("insights/ai_budget.sql", "views/costs.what_if.sql"):
        [file] = sql_files(pattern)
        assert file.is_relative_to(PACKAGE)
    with core_alone():
        assert sql_files("insights/*.sql") == ()


def test_nothing_loads_what_it_does_not_need() -> None:
    """Only a page loads the charts, and numbers need no warehouse."""
    assert not {*DAGSTER, "dagster_duckdb", "duckdb"} & loaded_by(STATISTICS)
    commands = "usage_assets_report.command, usage_assets_report.what_if.command"
    assert not {*DAGSTER, "altair", "vl_convert"} & loaded_by(commands)
    assert not {*DAGSTER, "altair", "vl_convert"} & loaded_by("usage_assets_report.shared")
