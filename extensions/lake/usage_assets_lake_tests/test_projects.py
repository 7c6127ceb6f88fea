"""The whole way on a lake: what is fetched, computed and pushed is the provider's; what is removed is gone."""

from pathlib import Path

import pytest

from usage_assets_tests.end_to_end.conftest import SERVER, open_project, with_endpoints
from usage_assets_tests.end_to_end.removing import remove
from usage_assets_tests.fixtures import Sandbox, last_days
from usage_assets_tests.terminal import Terminal

DAYS = last_days(1)
ASSETS = ("costs", "costs/daily_costs", "entities/ai_cost_record")


def test_a_lake_holds_a_restated_day_and_nothing_of_what_is_removed(
    sandbox: Sandbox, tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    variables = with_endpoints(tmp_path, "costs")
    monkeypatch.setenv(SERVER, postgres)
    terminal = Terminal.open(sandbox, tmp_path, monkeypatch, capfd)
    with open_project(sandbox, tmp_path, variables) as project:
        assert project.fetch("openai", DAYS, *ASSETS).success
        sandbox.restate("openai", *DAYS)
        assert project.fetch("openai", DAYS, *ASSETS).success
        assert project.push_of("openai", DAYS).success
        assert project.in_port() == project.entities()
        assert project.totals_of("openai usd")["openai usd"] == project.truth(DAYS)["openai usd"]
        assert {row["usage_date"] for row in project.rows("ledger.restatements")} == {*DAYS}
    for key in ("OPENAI_ADMIN_KEY", "ANTHROPIC_ADMIN_KEY", "CHATGPT_ANALYTICS_KEY"):
        monkeypatch.delenv(key)
    remove(terminal)
