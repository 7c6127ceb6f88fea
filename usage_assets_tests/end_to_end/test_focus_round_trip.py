"""What is exported as FOCUS and read back is the same, to the last digit, per day, service, model and person."""

from datetime import timedelta
from pathlib import Path

import pytest

from demo.focus_year import make_year, variables_for
from usage_assets.config.settings import Settings
from usage_assets.features.focus.export import export
from usage_assets.models.connection_graph import seeds_of
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.opened import warehouse_at
from usage_assets_tests.conftest import IS_NIGHT, TODAY, Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import hold_project, on_file
from usage_assets_tests.focus_files import connection

DAYS = last_days(365 if IS_NIGHT else 12)
"""In half a year, GitHub's premium requests become credits."""
FEW = DAYS[-4:]
EXPORTED = (
    "select (ChargePeriodStart at time zone 'UTC')::date, ServiceName, ProviderName, InvoiceIssuerName, SubAccountId, "
    "BillingCurrency, x_Model, x_UsageType, x_ApiKeyId, x_UserId, ChargeCategory, ChargeDescription, ConsumedUnit, "
    "sum(ConsumedQuantity), sum(BilledCost), sum(EffectiveCost), sum(ListCost) "
    "from costs.focus where x_FirstDay >= '{first}' group by all order by all"
)
READ_BACK = (
    "select usage_date, service_name, service_provider_name, invoice_issuer_name, sub_account_id, "
    "billing_currency, model, usage_type, other_columns ->> 'x_ApiKeyId', other_columns ->> 'x_UserId', "
    "charge_category, charge_description, consumed_unit, "
    "sum(consumed_quantity), sum(billed_cost), sum(effective_cost), sum(list_cost) "
    "from focus.charges where left_out_rows is null group by all order by all"
)
COSTS = (
    "select usage_date, project_id, currency, model, usage_type, api_key_id, user_id, sum(native_amount) "
    "from costs.daily_costs group by all having sum(native_amount) <> 0 order by all"
)
CHARGED = (
    "select (ChargePeriodStart at time zone 'UTC')::date, SubAccountId, BillingCurrency, x_Model, x_UsageType, "
    "x_ApiKeyId, x_UserId, sum(BilledCost) from costs.focus where x_FirstDay >= '{first}' "
    "group by all having sum(BilledCost) <> 0 order by all"
)


def rows(warehouse: Warehouse, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in warehouse.read(sql).to_pylist()]


@on_file
def test_the_export_read_back_has_the_same_sums(
    sandbox: Sandbox, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables_for(sandbox.base_url, DAYS[0], TODAY - timedelta(days=1), tmp_path).items():
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    make_year(sandbox.base_url, settings, DAYS[0], DAYS[-1])
    warehouse = warehouse_at(settings.warehouse)
    alone = {"OPENAI_ADMIN_KEY": "", "ANTHROPIC_ADMIN_KEY": "", "CHATGPT_ANALYTICS_KEY": ""}
    for kind, days in (("csv", DAYS), ("parquet", FEW)):
        (tmp_path / kind).mkdir()
        export(warehouse, seeds_of(settings), days[0], days[-1], tmp_path / kind / f"bill.{kind}")
        exported, charged = (rows(warehouse, sql.format(first=days[0])) for sql in (EXPORTED, CHARGED))
        assert len({row[1] for row in exported}) > 6, "services"
        folder = tmp_path_factory.mktemp("read_back")
        of_files = connection(folder, tmp_path / kind, filters='{ services = ["*"] }')
        as_sent = {"USAGE_START_DATE": str(DAYS[0]), "USAGE_PEOPLE": "names"}
        with hold_project(sandbox, folder, alone | as_sent | of_files) as reader:
            assert reader.fetch("bill", days, "charges", "charges/daily_costs").success
            assert rows(reader.warehouse, READ_BACK) == exported
            assert rows(reader.warehouse, COSTS) == charged
