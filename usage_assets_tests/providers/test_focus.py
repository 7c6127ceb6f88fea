"""FOCUS files: what they bill becomes costs, each day is replaced whole, and what is left out is counted."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from usage_assets_tests.conftest import Sandbox
from usage_assets_tests.end_to_end.conftest import Project, hold_project
from usage_assets_tests.focus_files import connection, on, write

DAYS = [date(2026, 11, 2), date(2026, 11, 3)]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return tmp_path / "bills"


@pytest.fixture
def project(sandbox: Sandbox, tmp_path: Path, files: Path) -> Iterator[Project]:
    """A project that reads a folder of files and nothing else."""
    alone = {"OPENAI_ADMIN_KEY": "", "ANTHROPIC_ADMIN_KEY": "", "CHATGPT_ANALYTICS_KEY": ""}
    with hold_project(sandbox, tmp_path, alone | connection(tmp_path, files)) as opened:
        yield opened


def fetched(project: Project, *days: date) -> None:
    result = project.fetch("bill", list(days or DAYS))
    assert result.success, [event.step_failure_data.error for event in result.get_step_failure_events()]


def sums(project: Project, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in project.warehouse.read(sql).to_pylist()]


def test_a_bill_becomes_costs_and_usage_and_what_is_left_out_is_counted(project: Project, files: Path) -> None:
    write(
        files / "november.csv",
        [
            on("2026-11-02"),
            on("2026-11-02", BilledCost="0.1", SkuMeter="USE1-Claude4.5Sonnet-output-tokens", ConsumedQuantity="2"),
            on("2026-11-02", BilledCost="20", ServiceName="Amazon EC2", SkuMeter="BoxUsage", ConsumedUnit="Hours"),
            on("2026-11-02", BilledCost="0.5", ServiceName="Amazon EC2", SkuMeter="BoxUsage", ConsumedUnit="Hours"),
            on("2026-11-03", BilledCost="0.000000000000000000000001"),
        ],
    )
    fetched(project)
    assert sums(
        project, "select usage_date, cost_basis, sum(amount_usd) from costs.daily_costs group by all order by all"
    ) == [
        (DAYS[0], "billed", Decimal("1.35")),
        (DAYS[1], "billed", Decimal("1e-24")),
    ]
    kinds = "select model, usage_type, amount_usd from costs.by_model where usage_date = '2026-11-02' order by all"
    assert sums(project, kinds) == [
        ("claude-sonnet-4-5", "output_tokens", Decimal("0.1")),
        ("claude-sonnet-4-5", "uncached_input_tokens", Decimal("1.25")),
    ]
    used = "select usage_date, input_tokens, output_tokens from costs.usage_by_model order by all"
    assert sums(project, used) == [(DAYS[0], 416500, 2000), (DAYS[1], 416500, None)]
    left = (
        "select usage_date, service_name, left_out_rows, billed_cost from focus.charges where left_out_rows is not null"
    )
    assert sums(project, left) == [(DAYS[0], "Amazon EC2", 2, Decimal("20.5"))]
    [(totals,)] = sums(
        project,
        "select day_totals from ledger.partition_versions "
        "where table_name = 'focus.charges' and usage_date = '2026-11-02'",
    )
    assert msgspec.json.decode(totals) == {
        "billed_usd": "1.350000000000000000000000",
        "left_out_usd": "20.500000000000000000000000",
        "left_out_rows": "2",
        "tokens": "418500",
    }
    assert sums(project, "select project_name from costs.by_project group by all") == [("research",)]
