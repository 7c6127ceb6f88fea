"""OpenRouter: from the sandbox's books to costs, FOCUS and Port; own keys are another provider's bill."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from usage_assets_tests.conftest import TODAY, Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import open_project

DAYS = last_days(3)
TOO_OLD = TODAY - timedelta(days=31)


def test_only_what_openrouter_bills_is_billed_and_days_that_it_does_not_serve_are_refused(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    connections, key = tmp_path / "connections.toml", tmp_path / "key"
    key.write_text("sk-or-sandbox-management")
    connections.write_text(f'[[connection]]\nname = "router"\nprovider = "openrouter"\nkey = "file:{key}"\n')
    environment = {
        "USAGE_CONNECTIONS": str(connections),
        "OPENROUTER_BASE_URL": f"{sandbox.base_url}/openrouter",
        "USAGE_START_DATE": str(TOO_OLD),
    }
    with open_project(sandbox, tmp_path, environment) as project:
        assert project.fetch("router", DAYS).success
        assert project.push_of("router", DAYS).success
        books = sandbox.truth(DAYS[0], DAYS[-1])["openrouter"]
        usage, own_keys = books["usage_usd"], books["own_keys_usd"]
        assert min(usage, own_keys) > 0
        for query, expected in (
            ("amount_usd) from costs.daily_costs where cost_basis = 'billed'", usage),
            ("amount_usd) from costs.by_month where cost_basis = 'notional'", own_keys),
            ("amount_usd) from costs.by_actor where cost_basis = 'billed'", usage),
            ("BilledCost) from costs.focus where ServiceProviderName = 'OpenRouter'", usage),
        ):
            assert project.warehouse.read(f"select sum({query}").column(0).to_pylist() == [expected], query
        assert project.in_port() == project.entities()
        [counted] = project.warehouse.read("select sum(requests) as n from costs.usage").to_pylist()
        of_own_keys = "select sum(requests) as n from openrouter.activity where byok_usage_inference > 0"
        [own] = project.warehouse.read(of_own_keys).to_pylist()
        assert own["n"]
        assert Decimal(counted["n"] + own["n"]) == books["requests"]
        run = project.fetch("router", [TOO_OLD])
        assert not run.success
        [failure] = [event.step_failure_data for event in run.all_events if event.is_step_failure][:1]
        assert failure.user_failure_data
        said = str(failure.user_failure_data.description)
        assert said.startswith(f"connection router: {TOO_OLD} cannot be fetched: the earliest day is")
        assert "serves the last 30 days" in said
        assert {row["usage_date"] for row in project.rows("openrouter.activity")} == {*DAYS}
