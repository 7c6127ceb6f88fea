"""What is exported as FOCUS and read back is the same, to the last digit, per day, service, model and person."""

from pathlib import Path

import pytest

from usage_assets.config.settings import Settings
from usage_assets.focus.export import export
from usage_assets.models.connection_graph import seeds_of
from usage_assets.warehouse.opened import warehouse_at
from usage_assets_tests.conftest import Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import (
    Project,
    hold_project,
    on_file,
    open_project,
    sandbox_environment,
    with_main_endpoints,
)
from usage_assets_tests.focus_files import connection

DAYS = last_days(10)
EXPORTED = (
    "select (ChargePeriodStart at time zone 'UTC')::date, ServiceName, ProviderName, SubAccountId, BillingCurrency, "
    "x_Model, x_UsageType, x_ApiKeyId, x_UserId, ChargeCategory, sum(BilledCost), sum(EffectiveCost), sum(ListCost) "
    "from costs.focus group by all order by all"
)
READ_BACK = (
    "select usage_date, service_name, service_provider_name, sub_account_id, billing_currency, model, usage_type, "
    "other_columns ->> 'x_ApiKeyId', other_columns ->> 'x_UserId', charge_category, sum(billed_cost), "
    "sum(effective_cost), sum(list_cost) from focus.charges where left_out_rows is null group by all order by all"
)
COSTS = (
    "select usage_date, project_id, currency, model, usage_type, api_key_id, user_id, sum(native_amount) "
    "from costs.daily_costs group by all having sum(native_amount) <> 0 order by all"
)
CHARGED = (
    "select (ChargePeriodStart at time zone 'UTC')::date, SubAccountId, BillingCurrency, x_Model, x_UsageType, "
    "x_ApiKeyId, x_UserId, sum(BilledCost) from costs.focus group by all having sum(BilledCost) <> 0 order by all"
)


FETCHED = {
    "openai": ("costs", "usage_completions", "costs/daily_costs", "costs/allocated_costs"),
    "anthropic": ("cost_report", "usage_messages", "cost_report/daily_costs", "cost_report/allocated_costs"),
    "chatgpt": ("codex_usage", "codex_usage/daily_costs"),
}


def rows(project: Project, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in project.warehouse.read(sql).to_pylist()]


@on_file
def test_the_export_read_back_has_the_same_sums(
    sandbox: Sandbox, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    variables = with_main_endpoints(tmp_path)
    environment = sandbox_environment(sandbox.base_url, tmp_path / "usage.duckdb") | variables
    settings = Settings.load(_env_file=None, **{name.lower(): value for name, value in environment.items()})
    with open_project(sandbox, tmp_path, variables) as project:
        for name, assets in FETCHED.items():
            assert project.fetch(name, DAYS, *assets).success
        for kind in ("csv", "parquet"):
            (tmp_path / kind).mkdir()
            bill = tmp_path / kind / f"bill.{kind}"
            export(warehouse_at(settings.warehouse), seeds_of(settings), DAYS[0], DAYS[-1], bill)
        exported, charged = rows(project, EXPORTED), rows(project, CHARGED)
    assert len(exported) > 100
    alone = {"OPENAI_ADMIN_KEY": "", "ANTHROPIC_ADMIN_KEY": "", "CHATGPT_ANALYTICS_KEY": ""}
    for kind in ("csv", "parquet"):
        folder = tmp_path_factory.mktemp("read_back")
        with hold_project(sandbox, folder, alone | connection(folder, tmp_path / kind)) as reader:
            assert reader.fetch("bill", DAYS, "charges", "charges/daily_costs").success
            assert rows(reader, READ_BACK) == exported
            assert rows(reader, COSTS) == charged
