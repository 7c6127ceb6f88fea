"""GitHub Copilot: what two reports state is billed once, and an enterprise. The audit compares all with the books."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from usage_assets.config.settings import SettingsError
from usage_assets.core import money
from usage_assets.models.connection_graph import seeds_of
from usage_assets.models.due import due_days
from usage_assets_sandbox.company_github_copilot import DEVELOPERS
from usage_assets_tests.end_to_end.conftest import Project, open_project, settings_in
from usage_assets_tests.fixtures import NO_KEYS, Sandbox, last_days
from usage_assets_tests.terminal import Terminal

ORGANIZATION = 'organization = "acme-robotics"\n'


@pytest.fixture
def environment(sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    """One connection."""
    return environment_of(sandbox, tmp_path, ORGANIZATION)


def environment_of(sandbox: Sandbox, tmp_path: Path, settings: str) -> dict[str, str]:
    """One connection with these settings."""
    connections, token = tmp_path / "connections.toml", tmp_path / "token"
    token.write_text("github-copilot-sandbox-token")
    connections.write_text(
        f'[[connection]]\nname = "copilot"\nprovider = "github_copilot"\nkey = "file:{token}"\n{settings}'
    )
    return {
        **dict.fromkeys(NO_KEYS, ""),
        "USAGE_CONNECTIONS": str(connections),
        "GITHUB_COPILOT_BASE_URL": f"{sandbox.base_url}/github_copilot",
    }


@pytest.fixture
def project(sandbox: Sandbox, tmp_path: Path, environment: dict[str, str]) -> Iterator[Project]:
    """A project with that connection."""
    with open_project(sandbox, tmp_path, environment) as project:
        yield project


def test_a_day_without_a_report_is_billed_to_nobody_until_there_is_one(
    project: Project, sandbox: Sandbox, tmp_path: Path, environment: dict[str, str]
) -> None:
    days, route = last_days(1), "GET /github_copilot/orgs/acme-robotics/copilot/metrics/reports/users"
    sandbox.refuse(route, 204)
    assert project.fetch("copilot", days).success
    seeds = seeds_of(settings_in(sandbox, tmp_path, environment))

    def due() -> dict[str, str]:
        return {row.asset: row.state for row in due_days(project.warehouse, seeds) if row.day in days}

    assert due().items() >= {"copilot/users_1_day": "late", "copilot/ai_credits/allocated_costs": "missing"}.items()
    computed = ("ai_credits/allocated_costs", "entities/ai_team_cost")
    assert project.fetch("copilot", days, *computed).success, "neither waits for the report"
    whole = money.total(row["amount_usd"] for row in project.rows("costs.allocated_costs"))
    assert {row["allocation"] for row in project.rows("costs.allocated_costs")} == {"unattributed"}
    assert project.rows("port_entities.ai_team_cost")

    sandbox.mend()
    assert project.fetch("copilot", days, "users_1_day").success
    assert due()["copilot/ai_credits/allocated_costs"] == "stale"
    assert project.fetch("copilot", days, "ai_credits/allocated_costs").success
    rows = project.rows("costs.allocated_costs")
    assert {row["allocation"] for row in rows} == {"nanocredits"}
    assert money.total(row["amount_usd"] for row in rows) == whole


FEW = "seats = false, billing_usage = false, users_1_day = false, organization_1_day = false"
REFUSED = "GET /github_copilot/organizations/acme-robotics/settings/billing/ai_credit"


def test_credits_that_two_reports_state_are_billed_once_also_while_the_report_that_owns_them_is_refused(
    sandbox: Sandbox, terminal: Terminal
) -> None:
    """The report of premium requests repeats AI credits, under another SKU and in another unit's spelling.

    Dagster does not start what depends on a failed step, but the costs of the other report do not need it.
    """
    days = last_days(2)
    truth = sandbox.truth(days[0], days[-1])["github_copilot"]["ai_credits_usd"]
    terminal.set(environment_of(sandbox, terminal.folder, f"{ORGANIZATION}endpoints = {{ {FEW} }}\n"))
    sandbox.control("POST", "shape", {"github_copilot": "repeated"})
    for owner in ("premium_requests", "ai_credits"):
        if is_refused := owner == "premium_requests":
            sandbox.refuse(REFUSED, 403)
        said = terminal.run(f"backfill --connection copilot --start {days[0]} --end {days[-1]}")
        assert (said.code != 0) is is_refused
        rows = terminal.warehouse.read("select source_table, amount_usd from costs.daily_costs").to_pylist()
        assert money.total(row["amount_usd"] for row in rows) == truth
        assert {row["source_table"] for row in rows} == {f"github_copilot.{owner}"}
        sandbox.mend()


def test_an_enterprise_is_read_by_its_own_paths(sandbox: Sandbox, tmp_path: Path) -> None:
    """Its reports state the same use, and seats that a cost center pays for. Entities in Port are of organizations."""
    days, entities = last_days(1), "entities/githubCopilotUserUsage"
    truth = sandbox.truth(days[0], days[0])["github_copilot"]
    variables = environment_of(sandbox, tmp_path, 'enterprise = "acme"\nendpoints = { budgets = true }\n')
    with open_project(sandbox, tmp_path, variables) as project:
        assert project.fetch("copilot", days, "billing_usage", "users_1_day", "organization_1_day", entities).success
        assert project.look_up("copilot").success
        billed = [row for row in project.rows("github_copilot.bill") if row["charge"] in ("seats", "metered")]
        assert money.total(row["net_amount"] for row in billed) == truth["copilot_usd"]
        assert not any(row["other_fields"] for row in billed)
        assert all(row["enterprise_id"] for row in project.rows("github_copilot.organization_1_day"))
        assert project.rows("github_copilot.users_1_day")
        assert project.rows("port_entities.githubCopilotUserUsage") == []
        assert len(project.rows("github_copilot.seats")) == len(DEVELOPERS) + 1
        assert {row["enterprise"] for row in project.rows("github_copilot.budgets")} == {"acme"}


def test_a_connection_states_an_organization_or_an_enterprise(sandbox: Sandbox, tmp_path: Path) -> None:
    for stated, problem in (
        ("", "organization: missing; github_copilot is asked for one organization's usage (or state its enterprise)"),
        (ORGANIZATION + 'enterprise = "acme"\n', "enterprise: state it or organization, not both"),
    ):
        settings = settings_in(sandbox, tmp_path, environment_of(sandbox, tmp_path, stated))
        with pytest.raises(SettingsError, match=re.escape(problem)):
            seeds_of(settings)
