"""GitHub Copilot: from the sandbox's books to costs, FOCUS and Port."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import time_machine

from usage_assets.automation.jobs import USAGE_JOB
from usage_assets.config.settings import SettingsError
from usage_assets.core import money
from usage_assets.models.connection_graph import seeds_of
from usage_assets.models.due import due_days
from usage_assets_sandbox.company_github_copilot import DEVELOPERS
from usage_assets_sandbox.control import DEFAULT_SEED
from usage_assets_tests.conftest import NOW, Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import Project, open_project, settings_in
from usage_assets_tests.stateful.books import Books
from usage_assets_tests.terminal import Terminal

BEFORE_CREDITS = [date(2026, 5, 30) + timedelta(days=n) for n in range(4)]
"""The last days of premium requests, and the first days of AI credits."""
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
        "USAGE_CONNECTIONS": str(connections),
        "GITHUB_COPILOT_BASE_URL": f"{sandbox.base_url}/github_copilot",
    }


@pytest.fixture
def project(sandbox: Sandbox, tmp_path: Path, environment: dict[str, str]) -> Iterator[Project]:
    """A project with that connection."""
    with open_project(sandbox, tmp_path, environment) as project:
        yield project


def billed(project: Project) -> dict[str, Decimal]:
    """What the sandbox's books say of the days."""
    truths = [project.sandbox.truth(days[0], days[-1])["github_copilot"] for days in (BEFORE_CREDITS, last_days(2))]
    return {unit: sum((truth.get(unit, Decimal(0)) for truth in truths), Decimal(0)) for unit in truths[0] | truths[1]}


def test_every_dollar_reaches_costs_focus_and_port_once_and_other_amounts_are_kept(project: Project) -> None:
    copilot = project
    for days in (BEFORE_CREDITS, last_days(2)):
        assert copilot.fetch("copilot", days).success
        assert copilot.push_of("copilot", days).success
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
        "select sum(gross_amount) as gross, sum(gross_quantity) as credits, count(distinct model) as models "
        "from github_copilot.ai_credits"
    )
    [found] = copilot.warehouse.read(query).to_pylist()
    assert (found["gross"], found["credits"]) == (books["ai_credits_gross_usd"], books["ai_credits"])
    assert found["models"] > 1
    assert_allocated(copilot)


def assert_allocated(project: Project) -> None:
    """Each person has the share of each model's bill that they have in the day's credits, and each bill is whole."""
    books = Books(DEFAULT_SEED, NOW)
    parts: dict[tuple[date, str, str | None], Decimal] = {
        (row["usage_date"], row["model"], row["user_id"]): row["amount_usd"]
        for row in project.rows("costs.allocated_costs")
    }
    for day in (*BEFORE_CREDITS, *last_days(2)):
        used = {row["user_login"]: row["ai_credits_used"] for row in books.rows("github_copilot/users_1_day", day)}
        for bill in books.rows("github_copilot/ai_credits", day):
            found = {user: part for (of, model, user), part in parts.items() if (of, model) == (day, bill["model"])}
            assert money.total(found.values()) == bill["net_amount"]
            if day in BEFORE_CREDITS:
                assert found.keys() == {None}, "people's credits are reported since 2026-06-19"
                continue
            assert found.keys() == used.keys()
            total = money.total(used.values())
            for user, part in found.items():
                share = bill["net_amount"] * used[user] / total
                assert abs(part - share) < Decimal("1e-9"), "credits are counted in billionths"
    rows = project.rows("costs.allocated_costs")
    assert {(row["allocation"], row["source_table"]) for row in rows} == {
        ("nanocredits", "github_copilot.ai_credits"),
        ("unattributed", "github_copilot.ai_credits"),
    }
    assert {row["basis"] for row in rows if row["user_id"]} == {
        "ai_credits_used of github_copilot.users_1_day of the same day"
    }


def test_a_day_without_a_report_is_billed_to_nobody_until_there_is_one(
    project: Project, sandbox: Sandbox, tmp_path: Path, environment: dict[str, str]
) -> None:
    days, route = last_days(2), "GET /github_copilot/orgs/acme-robotics/copilot/metrics/reports/users"
    sandbox.faults({"route": route, "fault": "status", "status": 204})
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

    sandbox.control("DELETE", "faults")
    assert project.fetch("copilot", days, "users_1_day").success
    assert due()["copilot/ai_credits/allocated_costs"] == "stale"
    assert project.fetch("copilot", days, "ai_credits/allocated_costs").success
    rows = project.rows("costs.allocated_costs")
    assert {row["allocation"] for row in rows} == {"nanocredits"}
    assert money.total(row["amount_usd"] for row in rows) == whole


def test_a_morning_computes_what_it_can_of_a_day_whose_report_is_late(project: Project, sandbox: Sandbox) -> None:
    *stored, late = last_days(3)
    assert project.fetch("copilot", stored).success
    sandbox.control("POST", "clock", {"now": f"{late}T12:00:00Z"})  # it serves the bill of this day, and no report yet
    keys = [key for key in project.keys_of(USAGE_JOB) if key.path[0] == "copilot"]
    morning = project.run(USAGE_JOB, keys, [*stored, late], **{"dagster/schedule_name": "daily_usage_schedule"})
    assert morning.success
    written = {
        event.asset_key.to_user_string().removeprefix("copilot/")
        for event in morning.get_asset_materialization_events()
        if event.asset_key and event.partition == str(late)
    }
    assert {"ai_credits", "ai_credits/daily_costs", "ai_credits/allocated_costs", "entities/ai_team_cost"} <= written
    assert written.isdisjoint({"users_1_day", "entities/githubCopilotUserUsage"})
    assert {row["allocation"] for row in project.rows("costs.allocated_costs") if row["usage_date"] == late} == {
        "unattributed"
    }


COMPARED = ("ai_credits", "premium_requests", "billing_usage")
"""The reports of use that costs."""


def test_a_check_compares_metered_use_in_the_two_reports_that_have_it(project: Project, sandbox: Sandbox) -> None:
    """A report may be restated before the others: days that GitHub may still change are not compared."""
    days = last_days(10)[:2]
    checked = replace(project, checks=True)

    def wrong() -> list[str]:
        found = checked.fetch("copilot", days, *COMPARED).get_asset_check_evaluations()
        [result, *of_days] = [each for each in reversed(found) if each.check_name == "metered"]
        assert result.passed is not bool(of_days)
        return [str(each.description) for each in of_days]

    assert wrong() == []
    with time_machine.travel(NOW + timedelta(hours=25)):
        assert wrong() == []
    sandbox.control(
        "POST",
        "restate",
        {"provider": "github_copilot", "endpoint": "ai_credits", "days": [str(days[1])], "change": "clear"},
    )
    with time_machine.travel(NOW + timedelta(hours=50)):
        assert wrong() == [], "the day was restated, and may still change"
    with time_machine.travel(NOW + timedelta(hours=75)):
        [text] = wrong()
    assert all(f"{amount} of ai-credits" in text for amount in ("gross amount", "discount amount", "net amount"))


CREDITS, REQUESTS = ("ai_credits", "ai_credits/daily_costs"), ("premium_requests", "premium_requests/daily_costs")
FEW = "seats = false, billing_usage = false, users_1_day = false, organization_1_day = false"
REFUSED = {"route": "GET /github_copilot/organizations/acme-robotics/settings/billing/ai_credit", "status": 403}


IN_ANY_ORDER: Sequence[tuple[Sequence[Sequence[str]], str]] = (
    ([(*CREDITS, *REQUESTS)], "ai_credits"),
    ([REQUESTS, CREDITS], "ai_credits"),  # the owner's day arrives later
    ([REQUESTS], "premium_requests"),  # the owner is switched off
    ([("refused", *CREDITS, *REQUESTS), REQUESTS, CREDITS], "ai_credits"),  # it is refused first, and later granted
)
"""What is fetched in turn, and the report that bills it in the end."""


def test_credits_that_two_reports_state_are_billed_once_in_any_order(
    project: Project, sandbox: Sandbox, tmp_path: Path, environment: dict[str, str], subtests: pytest.Subtests
) -> None:
    """The report of premium requests repeats AI credits, under another SKU and in another unit's spelling."""
    sandbox.control("POST", "shape", {"github_copilot": "repeated"})
    seeds = seeds_of(settings_in(sandbox, tmp_path, environment))
    known = last_days(2 * len(IN_ANY_ORDER))
    for n, (steps, owner) in enumerate(IN_ANY_ORDER):
        days = known[2 * n : 2 * n + 2]
        for step in steps:
            with subtests.test(steps=steps, step=step):
                if is_refused := step[0] == "refused":
                    sandbox.faults({**REFUSED, "fault": "status"})
                assert project.fetch("copilot", days, *step).success is not is_refused
                sandbox.control("DELETE", "faults")
                due = [row.asset for row in due_days(project.warehouse, seeds) if row.day in days]
                if again := {asset.partition("/")[2] for asset in due if asset.endswith("/daily_costs")}:
                    assert project.fetch("copilot", days, *again).success
                by = "premium_requests" if is_refused else owner if step is steps[-1] else None
                assert_billed_by(project, days, by)


def test_a_report_bills_both_units_where_the_other_one_is_switched_off(sandbox: Sandbox, tmp_path: Path) -> None:
    days, variables = (
        last_days(2),
        environment_of(sandbox, tmp_path, ORGANIZATION + "endpoints = { ai_credits = false }\n"),
    )
    sandbox.control("POST", "shape", {"github_copilot": "repeated"})
    with open_project(sandbox, tmp_path, variables) as project:
        assert project.fetch("copilot", days, *REQUESTS).success
        assert_billed_by(project, days, "premium_requests")


def test_a_backfill_bills_what_a_refused_report_owns(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Dagster does not start what depends on a failed step, but these costs do not need it."""
    days, terminal = last_days(2), Terminal.open(sandbox, tmp_path, monkeypatch, capfd)
    for name, value in environment_of(sandbox, tmp_path, f"{ORGANIZATION}endpoints = {{ {FEW} }}\n").items():
        monkeypatch.setenv(name, value)
    sandbox.control("POST", "shape", {"github_copilot": "repeated"})
    sandbox.faults({**REFUSED, "fault": "status"})
    said = terminal.type("backfill", "--connection", "copilot", "--start", str(days[0]), "--end", str(days[-1]))
    assert said.code != 0
    rows = terminal.warehouse.read("select source_table, amount_usd from costs.daily_costs").to_pylist()
    truth = sandbox.truth(days[0], days[-1])["github_copilot"]["ai_credits_usd"]
    assert money.total(row["amount_usd"] for row in rows) == truth
    assert {row["source_table"] for row in rows} == {"github_copilot.premium_requests"}


def assert_billed_by(project: Project, days: list[date], owner: str | None) -> None:
    """The credits of the days are billed once; by this report, if one is named."""
    truth = project.sandbox.truth(days[0], days[-1])["github_copilot"]["ai_credits_usd"]
    costs = [row for row in project.rows("costs.daily_costs") if row["usage_date"] in days]
    assert money.total(row["amount_usd"] for row in costs) == (truth if costs else 0)
    if owner:
        assert {row["source_table"] for row in costs} == {f"github_copilot.{owner}"}


def test_reports_that_repeat_each_other_in_other_spellings_agree(project: Project, sandbox: Sandbox) -> None:
    days = last_days(10)[:2]
    sandbox.control("POST", "shape", {"github_copilot": "repeated"})
    costs = [f"{report}/daily_costs" for report in COMPARED]
    assert project.fetch("copilot", days, *COMPARED, *costs).success
    found = replace(project, checks=True).fetch("copilot", days, *COMPARED).get_asset_check_evaluations()
    assert {each.check_name for each in found} >= {"metered", "repeated"}
    assert [each.description for each in found if not each.passed and each.check_name in ("metered", "repeated")] == []
    truth = sandbox.truth(days[0], days[-1])["github_copilot"]
    assert money.total(row["amount_usd"] for row in project.rows("costs.daily_costs")) == truth["copilot_usd"]


def test_an_enterprise_is_read_by_its_own_paths(sandbox: Sandbox, tmp_path: Path) -> None:
    """Its reports state the same use. Entities in Port are of organizations."""
    days = last_days(2)
    variables = environment_of(sandbox, tmp_path, 'enterprise = "acme"\nendpoints = { budgets = true }\n')
    with open_project(sandbox, tmp_path, variables) as project:
        assert project.fetch("copilot", days).success
        assert project.look_up("copilot").success
        truth = sandbox.truth(days[0], days[-1])["github_copilot"]
        assert money.total(row["amount_usd"] for row in project.rows("costs.daily_costs")) == truth["copilot_usd"]
        [used] = {row["enterprise_id"] for row in project.rows("github_copilot.organization_1_day")}
        assert used
        assert project.rows("github_copilot.users_1_day")
        assert project.rows("port_entities.githubCopilotUserUsage") == []
        seats = {row["id"]: row for row in project.rows("github_copilot.seats")}
        assert len(seats) == len(DEVELOPERS) + 1
        assert seats["alice-acme"]["organization"] == "acme-labs, acme-robotics"
        assert seats["Team night-shift"]["assignee_type"] == "Team"
        assert {row["enterprise"] for row in project.rows("github_copilot.budgets")} == {"acme"}


def test_a_connection_states_an_organization_or_an_enterprise(sandbox: Sandbox, tmp_path: Path) -> None:
    for stated, problem in (
        ("", "organization: missing; github_copilot is asked for one organization's usage (or state its enterprise)"),
        (ORGANIZATION + 'enterprise = "acme"\n', "enterprise: state it or organization, not both"),
    ):
        settings = settings_in(sandbox, tmp_path, environment_of(sandbox, tmp_path, stated))
        with pytest.raises(SettingsError, match=re.escape(problem)):
            seeds_of(settings)
