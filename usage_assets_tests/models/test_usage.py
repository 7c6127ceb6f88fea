"""What was used, in one view: every counter of every report once, and none that another report counts, too."""

from dataclasses import replace

from usage_assets.config.accounting import Accounting, ConfiguredConnectionRow
from usage_assets.models.costs import VIEWS
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai_legacy.billing import BillingUsage, Usage
from usage_assets.warehouse.views import make_views
from usage_assets_tests.models.days import Days, raw

TOKENS = ("input_tokens", "cached_input_tokens", "output_tokens")
COUNTED = ", ".join(
    f"sum({name})::bigint as {name}" for name in ("requests", *TOKENS, "images", "seconds", "usage_bytes", "sessions")
)
SUMS = f"select provider, {COUNTED} from costs.usage group by provider"


def used(days: Days) -> dict[str, dict[str, int]]:
    """Provider -> its counters; those that it does not have are left out."""
    with days.warehouse.transaction() as database:
        database.execute("create schema if not exists costs")
        make_views(database, VIEWS)
    return {
        row.pop("provider"): {name: value for name, value in row.items() if value is not None}
        for row in days.read(SUMS)
    }


def test_old_endpoints_count_only_where_no_other_connection_bills_the_day(days: Days) -> None:
    providers = ("openai", "openai_legacy")
    known = [
        ConfiguredConnectionRow(connection=name, provider=name, people="ids", people_ids="id") for name in providers
    ]
    days = replace(days, accounting=Accounting(connections=known))
    days.fetched(Usage, raw(Usage))
    days.spent(BillingUsage, raw(BillingUsage, total_usage_cents=100))
    assert used(days)["openai_legacy"] == {"requests": 1, "input_tokens": 10, "output_tokens": 5}
    days.spent(Costs, raw(Costs))
    days.derive("openai_legacy_billing_usage")
    assert used(days) == {}
