"""A part of `make audit`: each thing that happens is one incident, with its days, its cause and its dollars."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import dagster as dg
import time_machine

from usage_assets_report.graph.insights import ASSETS as INSIGHTS
from usage_assets_report.graph.sensor import REPORT_JOB
from usage_assets_report_tests.end_to_end.audit_incidents import Bills, wrong_incidents
from usage_assets_tests.end_to_end.conftest import hold_project
from usage_assets_tests.fixtures import NOW, Sandbox, last_days

CONNECTION = """
[[connection]]
name = "{name}"
provider = "focus"
files = "{files}"
start_date = {first}
"""
PLANTED = {
    "actual": Decimal("1e6"),
    "last_day": date(2026, 11, 19),
    "id": "another",
    "is_open": True,
}
"""A column, and a wrong value of it."""


def test_each_thing_that_happens_is_one_incident(sandbox: Sandbox, tmp_path: Path) -> None:
    bills = Bills.until(last_days(1)[0])
    connections = tmp_path / "connections.toml"
    connections.write_text(
        "".join(
            CONNECTION.format(name=name, files=files, first=bills.first)
            for name, files in bills.write(tmp_path / "bills").items()
        )
    )
    variables = {"USAGE_CONNECTIONS": str(connections), "USAGE_START_DATE": str(bills.first)}
    with time_machine.travel(NOW, tick=False), hold_project(sandbox, tmp_path, variables) as project:
        for name in ("cloud", "other_cloud"):
            assert project.fetch(name, bills.days, "charges", "charges/daily_costs").success
        assert project.run(REPORT_JOB, [*map(dg.AssetKey, INSIGHTS)]).success
        rows = project.rows("costs.anomalies")
    wrong = [*wrong_incidents(rows, bills)]
    assert not wrong, "\n".join(wrong)
    for n, row in enumerate(rows):
        for name, value in PLANTED.items():
            assert [*wrong_incidents([*rows[:n], {**row, name: value}, *rows[n + 1 :]], bills)], (row, name)
        assert [*wrong_incidents([*rows[:n], *rows[n + 1 :]], bills)], row
