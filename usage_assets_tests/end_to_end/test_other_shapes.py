"""OpenAI's old endpoints, alone and beside a connection that takes over."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

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


def test_a_legacy_connection_alone_gives_days_models_and_billed_dollars_and_one_that_comes_later_takes_over(
    legacy: Project, sandbox: Sandbox, tmp_path: Path
) -> None:
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
    # A refused session key is a failure that names the replacement and never a zero.
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
            used = {row["usage_date"] for row in both.rows("costs.usage") if row["provider"] == "openai_legacy"}
            assert used == {*DAYS} - {*taken}
        assert both.totals_of("openai_legacy cents") == {"openai_legacy cents": truth["openai_legacy cents"]}
