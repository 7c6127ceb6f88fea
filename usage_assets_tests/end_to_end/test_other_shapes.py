"""Answers that are not what the documented APIs send: the illustrative Codex shape, and OpenAI's old endpoints."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from usage_assets_tests.end_to_end.conftest import Project, hold_project, with_main_endpoints
from usage_assets_tests.end_to_end.test_refusals import failures
from usage_assets_tests.fixtures import Sandbox, last_days

DAYS = last_days(2)


def with_both(folder: Path) -> dict[str, str]:
    """Variables with a connection that asks the old endpoints and one of ``openai``, with its main endpoints."""
    variables, session = with_main_endpoints(folder), folder / "session.key"
    session.write_text("sess-sandbox")
    old = f'[[connection]]\nname = "old"\nprovider = "openai_legacy"\nkey = "file:{session}"\n'
    with Path(variables["USAGE_CONNECTIONS"]).open("a") as file:
        file.write(old)
    return variables


@pytest.fixture
def legacy(sandbox: Sandbox, tmp_path: Path) -> Iterator[Project]:
    """A project whose only OpenAI connection asks the old endpoints."""
    session, connections = tmp_path / "session.key", tmp_path / "connections.toml"
    session.write_text("sess-sandbox")
    connections.write_text(f'[[connection]]\nname = "old"\nprovider = "openai_legacy"\nkey = "file:{session}"\n')
    variables = {"OPENAI_ADMIN_KEY": "", "USAGE_CONNECTIONS": str(connections)}
    with hold_project(sandbox, tmp_path, variables) as opened:
        yield opened


def test_codex_in_the_illustrative_shape_gives_the_same_credits_and_reaches_port(small_project: Project) -> None:
    project, assets = small_project, ("codex_usage", "codex_usage/daily_costs", "entities/codex_usage_record")

    def told() -> tuple[list[dict[str, Any]], dict[tuple[str, str], dict[str, Any]]]:
        assert project.fetch("chatgpt", DAYS, *assets).success
        assert project.push_of("chatgpt", DAYS).success
        spent = [row for row in project.rows("costs.daily_costs") if row["cost_basis"] == "credits"]
        assert project.in_port() == project.entities()
        records = {key: entity for key, entity in project.entities().items() if key[0] == "codex_usage_record"}
        return spent, records

    spent, documented = told()
    project.sandbox.control("POST", "shape", {"codex_usage": "illustrative"})
    same_spent, illustrative = told()
    assert same_spent == spent != []
    assert illustrative.keys() == documented.keys()
    assert {row["shape"] for row in project.rows("chatgpt.codex_usage")} == {"illustrative"}
    for key, entity in illustrative.items():
        assert entity["cost_usd"] is entity["estimated_cost_usd"] is entity["uncached_text_input_tokens"] is None
        for name in ("credits", "threads", "turns", "cached_text_input_tokens", "text_output_tokens"):
            assert entity[name] == documented[key][name]


def a_stated_total_that_differs_is_a_warning_and_stops_nothing(legacy: Project) -> None:
    midnight = Decimal("1794960000.0")
    body = {
        "object": "list",
        "daily_costs": [{"timestamp": float(midnight), "line_items": [{"name": "GPT-4", "cost": 95.5}]}],
        "total_usage": 100.25,
    }
    legacy.sandbox.faults({"route": "GET /openai/v1/dashboard/billing/usage", "fault": "replace", "body": body})
    result = replace(legacy, checks=True).fetch("old", [DAYS[-2]])
    assert result.success
    [cost] = legacy.rows("costs.daily_costs")
    assert (cost["native_amount"], cost["amount_usd"]) == (Decimal("95.5"), Decimal("0.955"))
    told = [check for check in result.get_asset_check_evaluations() if check.check_name == "total_usage"]
    assert [check.severity for check in told if not check.passed] == [dg.AssetCheckSeverity.WARN] * 2
    assert [check.partition for check in told] == [str(DAYS[-2]), None]
    assert told[0].metadata["contradictions"].value == [
        "the lines of the day add up to $0.96, and the total that OpenAI states is $1.00 ($0.05 apart)"
    ]
    legacy.sandbox.control("DELETE", "faults")


def test_a_legacy_connection_alone_gives_days_models_and_billed_dollars_and_one_that_comes_later_takes_over(
    legacy: Project, sandbox: Sandbox, tmp_path: Path
) -> None:
    a_stated_total_that_differs_is_a_warning_and_stops_nothing(legacy)
    assert legacy.fetch("old", DAYS).success
    truth = legacy.truth(DAYS)
    daily = legacy.rows("port_entities.openai_daily_usage")
    assert [row["identifier"] for row in daily] == [f"old:daily-{day}" for day in DAYS]
    assert sum(row["total_cost"] for row in daily) == truth["openai_legacy cents"] / 100
    assert sum(row["total_requests"] for row in daily) == truth["openai_legacy requests"]
    tokens = truth["openai_legacy context_tokens"] + truth["openai_legacy generated_tokens"]
    assert sum(row["total_tokens"] for row in daily) == tokens
    assert sum(row["tokens"] for row in legacy.rows("port_entities.openai_model_usage")) == tokens
    billed = [row["amount_usd"] for row in legacy.rows("costs.daily_costs") if row["cost_basis"] == "billed"]
    assert 100 * sum(billed, Decimal(0)) == truth["openai_legacy cents"]
    assert legacy.push_of("old", DAYS).success
    assert legacy.in_port() == legacy.entities()
    a_refused_session_key_is_a_failure_that_names_the_replacement_and_never_a_zero(legacy)
    with hold_project(sandbox, tmp_path, with_both(tmp_path)) as both:
        derived = ("billing_usage/daily_costs", "entities/openai_daily_usage", "entities/openai_model_usage")
        for taken in (DAYS[-1:], DAYS):
            assert both.fetch("openai", taken).success
            assert both.push_of("openai", taken).success
            assert both.fetch("old", DAYS, *derived).success
            assert both.push_of("old", DAYS).success
            billed = [row["amount_usd"] for row in both.rows("costs.daily_costs")]
            assert sum(billed, Decimal(0)) == truth["openai usd"]
            entities = {row["usage_date"]: row["connection"] for row in both.rows("port_entities.openai_daily_usage")}
            assert entities == dict.fromkeys(DAYS, "old") | dict.fromkeys(taken, "openai")
            assert both.in_port() == both.entities()
        assert both.totals_of("openai_legacy cents") == {"openai_legacy cents": truth["openai_legacy cents"]}


def a_refused_session_key_is_a_failure_that_names_the_replacement_and_never_a_zero(legacy: Project) -> None:
    before = legacy.content()
    message = "Your request to GET /v1/usage must be made with a session key"
    refusal = {"fault": "status", "status": 403, "body": {"error": {"message": message, "type": "server_error"}}}
    routes = ("GET /openai/v1/usage", "GET /openai/v1/dashboard/billing/usage")
    legacy.sandbox.faults(*({"route": route, **refusal} for route in routes))
    result = legacy.fetch("old", DAYS)
    assert not result.success
    said = failures(result)
    for step in ("old__usage", "old__billing_usage"):
        assert message in said[step]
        assert "use a connection of provider openai with an admin key" in said[step]
    assert legacy.content() == before
