"""What is in Port stays there where the package is missing, and everything else is pushed meanwhile."""

from pathlib import Path
from typing import Any

from usage_assets.features.port.graph import PORT_CONNECTION_JOB, PORT_RECONCILE_JOB
from usage_assets_report.graph.sensor import REPORT_JOB
from usage_assets_tests.alone import core_alone
from usage_assets_tests.end_to_end.conftest import hold_project, with_endpoints
from usage_assets_tests.fixtures import Sandbox, last_days
from usage_assets_tests.port_user import PortUser, port_user

DAYS = last_days(1)
ASSETS = ("costs", "costs/daily_costs", "costs/allocated_costs", "entities/ai_cost_record")
STATED = """
[[budget]]
name = "all"
amount = 1000

[[guardrail]]
name = "dollars"
measure = "usd"
above = 0
connection = "openai"
"""
UNDATED = ("ai_anomaly", "ai_budget")


def shown(user: PortUser) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (blueprint, identifier): user.entity(blueprint, identifier)["properties"]
        for blueprint in UNDATED
        for identifier in user.identifiers(blueprint)
    }


def test_without_it_port_keeps_budgets_and_anomalies(sandbox: Sandbox, tmp_path: Path) -> None:
    others = {"ANTHROPIC_ADMIN_KEY": "", "CHATGPT_ANALYTICS_KEY": ""}  # to build their graphs takes longer than a run
    variables = with_endpoints(tmp_path, "costs") | others
    connections = Path(variables["USAGE_CONNECTIONS"])
    connections.write_text(connections.read_text() + STATED)
    with port_user(sandbox) as user:
        with hold_project(sandbox, tmp_path, variables) as project:
            assert project.fetch("openai", DAYS, *ASSETS).success
            assert project.push_of("openai", DAYS).success
            assert project.run(REPORT_JOB, [*project.keys_of(REPORT_JOB)]).success
            before, pushed = shown(user), project.in_port()
            assert {blueprint for blueprint, _ in before} == {*UNDATED}
        with core_alone(), hold_project(sandbox, tmp_path, variables) as project:
            sandbox.restate("openai", *DAYS, endpoint="costs")
            assert project.fetch("openai", DAYS, *ASSETS).success
            assert project.push_of("openai", DAYS).success
            for job in (PORT_CONNECTION_JOB, PORT_RECONCILE_JOB):
                assert project.run(job, [*project.keys_of(job)]).success
            assert shown(user) == before
            assert project.in_port() != pushed
        with hold_project(sandbox, tmp_path, variables) as project:
            assert project.run(REPORT_JOB, [*project.keys_of(REPORT_JOB)]).success
            after = shown(user)
            assert after.keys() == before.keys()
            assert after != before
