"""GitHub Copilot: from the sandbox's books to costs, FOCUS and Port."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from usage_assets_tests.conftest import Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import Project, open_project

BEFORE_CREDITS = [date(2026, 5, 30) + timedelta(days=n) for n in range(4)]
"""The last days of premium requests, and the first days of AI credits."""


@pytest.fixture
def copilot(sandbox: Sandbox, tmp_path: Path) -> Iterator[Project]:
    """A project with one connection, whose days are stored and pushed."""
    connections, token = tmp_path / "connections.toml", tmp_path / "token"
    token.write_text("github-copilot-sandbox-token")
    connections.write_text(
        f'[[connection]]\nname = "copilot"\nprovider = "github_copilot"\nkey = "file:{token}"\n'
        'organization = "acme-robotics"\n'
    )
    environment = {
        "USAGE_CONNECTIONS": str(connections),
        "GITHUB_COPILOT_BASE_URL": f"{sandbox.base_url}/github_copilot",
    }
    with open_project(sandbox, tmp_path, environment) as project:
        for days in (BEFORE_CREDITS, last_days(2)):
            assert project.fetch("copilot", days).success
            assert project.push_of("copilot", days).success
        yield project


def billed(project: Project) -> dict[str, Decimal]:
    """What the sandbox's books say of the days."""
    truths = [project.sandbox.truth(days[0], days[-1])["github_copilot"] for days in (BEFORE_CREDITS, last_days(2))]
    return {unit: sum((truth.get(unit, Decimal(0)) for truth in truths), Decimal(0)) for unit in truths[0] | truths[1]}


def test_every_dollar_reaches_costs_focus_and_port_once_and_other_amounts_are_kept(copilot: Project) -> None:
    books = billed(copilot)
    parts = [books[unit] for unit in ("ai_credits_usd", "premium_requests_usd", "seats_usd")]
    assert all(parts)
    assert sum(parts) == books["copilot_usd"], "the report of all products says the same"
    for amount in (
        "amount_usd) from costs.daily_costs where provider = 'github_copilot' and cost_basis = 'billed'",
        "amount_usd) from costs.by_month where provider = 'github_copilot'",
        "BilledCost) from costs.focus where ServiceName = 'GitHub Copilot'",
        "amount_usd) from port_entities.ai_cost_record where connection = 'copilot'",
    ):
        [total] = copilot.warehouse.read(f"select sum({amount}").column(0).to_pylist()
        assert total == books["copilot_usd"], amount
    assert copilot.in_port() == copilot.entities()
    assert {row["product"] for row in copilot.rows("github_copilot.billing_usage")} == {"Actions", "Copilot"}
    query = (
        "select sum(gross_amount) as gross, sum(gross_amount - discount_amount - net_amount) as difference, "
        "sum(gross_quantity) as credits, count(distinct model) as models from github_copilot.ai_credits"
    )
    [found] = copilot.warehouse.read(query).to_pylist()
    assert (found["gross"], found["credits"]) == (books["ai_credits_gross_usd"], books["ai_credits"])
    assert found["difference"] == 0
    assert found["models"] > 1
