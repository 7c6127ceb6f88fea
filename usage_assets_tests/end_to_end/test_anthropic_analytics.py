"""Anthropic's newer reports: tables of their own, equal to the books, compared with the older ones, added to none."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import time_machine

from usage_assets.providers import PROVIDERS
from usage_assets.providers.anthropic_analytics.cuts import CUT_ENDPOINTS
from usage_assets.providers.anthropic_analytics.engagement import ENGAGEMENT_ENDPOINTS
from usage_assets_tests.end_to_end.conftest import Project, hold_project
from usage_assets_tests.fixtures import NO_KEYS, NOW, Sandbox, last_days

DAYS = last_days(3)
CUTS = ("usage_by_agent", "cost_by_agent")
"""Of the cuts, which are all made from one declaration."""
ENDPOINTS = [
    endpoint.name
    for endpoint in PROVIDERS["anthropic_analytics"].endpoints
    if endpoint not in (*CUT_ENDPOINTS, *ENGAGEMENT_ENDPOINTS) or endpoint.name in CUTS
]
COMPARED = {
    ("cost", "cost_report"): "anthropic.cost_report of claude",
    ("usage", "usage_messages"): "anthropic.usage_messages of claude",
    ("cost_report", "cost"): "anthropic_analytics.cost of newer",
}
"""Asset and check -> what the check compares it with."""


def connections(folder: Path, claude: str = "", newer: str = "") -> dict[str, str]:
    """Variables with a connection of both reports; the texts are further lines of the two."""
    admin, analytics, file = folder / "admin.key", folder / "analytics.key", folder / "connections.toml"
    admin.write_text("sk-ant-admin-sandbox")
    analytics.write_text("sk-ant-analytics-sandbox")
    switches = ", ".join(f"{name} = true" for name in ENDPOINTS)
    file.write_text(
        f'[[connection]]\nname = "claude"\nprovider = "anthropic"\nkey = "file:{admin}"\n{claude}\n'
        f'[[connection]]\nname = "newer"\nprovider = "anthropic_analytics"\nkey = "file:{analytics}"\n'
        f"endpoints = {{ {switches} }}\n{newer}\n"
    )
    return {"USAGE_CONNECTIONS": str(file), **dict.fromkeys(NO_KEYS, "")}


SETTLED = "settling_days = 0"


@pytest.fixture
def settled(sandbox: Sandbox, tmp_path: Path) -> Iterator[Project]:
    """A project with a connection of both reports, whose days are settled when they were read twice, a day apart."""
    with hold_project(sandbox, tmp_path, connections(tmp_path, SETTLED, SETTLED)) as opened:
        yield opened


@pytest.fixture
def both(sandbox: Sandbox, tmp_path: Path) -> Iterator[Project]:
    """A project with a connection of both reports, of one organization."""
    with hold_project(sandbox, tmp_path, connections(tmp_path)) as opened:
        yield opened


def checks(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], list[dg.AssetCheckEvaluation]]:
    """The comparisons of a run: asset and check -> one evaluation for each wrong day, and the run's."""
    found: dict[tuple[str, str], list[dg.AssetCheckEvaluation]] = {}
    for each in result.get_asset_check_evaluations():
        found.setdefault((each.asset_key.path[-1], each.check_name), []).append(each)
    return {key: found[key] for key in found.keys() & COMPARED.keys()}


def said(evaluation: dg.AssetCheckEvaluation) -> dict[str, Any]:
    """What a check says."""
    return {name: value.value for name, value in evaluation.metadata.items()}


def fetch_older(project: Project, days: list[date]) -> None:
    """Store what the newer reports are compared with."""
    assert project.fetch("claude", days, "cost_report", "usage_messages").success


def compared(project: Project, days: list[date] = DAYS) -> dict[tuple[str, str], list[dg.AssetCheckEvaluation]]:
    """The comparisons of a fetch of the newer reports, which is a success whatever they say."""
    result = replace(project, checks=True).fetch("newer", days, *(asset for asset, _ in COMPARED))
    assert result.success
    return checks(result)


def later(hours: int) -> time_machine.travel:
    """That many hours after NOW."""
    return time_machine.travel(NOW + timedelta(hours=hours))


def test_a_day_that_differs_is_a_warning_with_both_figures_and_the_difference(settled: Project) -> None:
    before = settled.sandbox.truth(DAYS[1], DAYS[1])
    for endpoint in ("cost", "usage"):
        settled.sandbox.restate("anthropic_analytics", DAYS[1], endpoint=endpoint, factor=3)
    after = settled.sandbox.truth(DAYS[1], DAYS[1])["anthropic_analytics"]
    fetch_older(settled, DAYS)
    for [summary] in compared(settled).values():
        assert summary.passed
        assert said(summary)["not_compared"].startswith(f"{DAYS[1]}: the provider may still change anthropic")
    with later(25):
        fetch_older(settled, DAYS)
        found = compared(settled)
    for key, unit in {
        ("cost", "cost_report"): "cents",
        ("usage", "usage_messages"): "output_tokens",
        ("cost_report", "cost"): "cents",
    }.items():
        [day, summary] = found[key]
        assert (day.partition, summary.passed) == (str(DAYS[1]), False)
        assert {each.severity for each in (day, summary)} == {dg.AssetCheckSeverity.WARN}
        here, there = after[unit], before["anthropic"][unit]
        if key[0] == "cost_report":
            here, there = there, here
        amounts = [
            f"${amount.scaleb(-2):,.2f}" if unit == "cents" else f"{amount:,}"
            for amount in (here, there, abs(here - there))
        ]
        subject = "" if unit == "cents" else "output tokens: "
        verb = "says" if unit == "cents" else "counts"
        ours, theirs, apart = amounts
        assert (
            f"{subject}anthropic_analytics.{key[0]} {verb} {ours}, and {COMPARED[key]} {verb} {theirs} ({apart} apart)"
            in said(day)["contradictions"]
        )


def test_a_millionth_of_a_cent_is_no_difference_and_a_cent_is(settled: Project) -> None:
    cents = settled.sandbox.truth(DAYS[0], DAYS[0])["anthropic"]["cents"]
    for hours in (0, 25):
        with later(hours):
            fetch_older(settled, DAYS[:1])
    for start, more, passes in ((0, "0.00000001", True), (50, "1", False)):
        item = {
            "starting_at": f"{DAYS[0]}T00:00:00Z",
            "ending_at": f"{DAYS[1]}T00:00:00Z",
            "group": {"workspace_id": None},
            "cost": {"amount": str(cents + Decimal(more)), "list_amount": "1", "currency": "USD", "requests": None},
        }
        body = {"data": [item], "has_more": False, "next_page": None}
        settled.sandbox.mend()
        settled.sandbox.faults(
            {"route": "GET /anthropic/v1/organizations/analytics/cost", "fault": "replace", "body": body}
        )
        for hours in (start, start + 25):
            with later(hours):
                result = replace(settled, checks=True).fetch("newer", DAYS[:1], "cost")
                assert result.success
        assert {each.passed for each in checks(result)["cost", "cost_report"]} == {passes}


def test_a_day_that_the_other_side_does_not_have_is_not_compared_and_says_so(both: Project) -> None:
    fetch_older(both, DAYS[1:])
    [summary] = compared(both)["cost", "cost_report"]
    assert summary.passed
    reason = said(summary).pop("not_compared")
    assert reason.startswith(f"{DAYS[0]}: anthropic.cost_report of claude does not have the day")
    assert said(summary) == {"days": 3, "contradictions": 0, "days_wrong": 0, "not_compared": reason}


def test_a_report_that_filters_narrow_down_is_not_compared(sandbox: Sandbox, tmp_path: Path) -> None:
    variables = connections(tmp_path, newer='filters = { models = ["claude-opus-5"] }')
    with hold_project(sandbox, tmp_path, variables) as project:
        fetch_older(project, DAYS[:1])
        found = compared(project, DAYS[:1])
        assert {row["model"] for row in project.rows("anthropic_analytics.cost")} == {"claude-opus-5"}
    assert all(summary.passed and "filters narrow" in said(summary)["not_compared"] for [summary] in found.values())
