"""What is fetched is what the provider's books say, to the last digit, in as few requests as the API allows."""

from datetime import date, timedelta
from decimal import Decimal

import duckdb
import pyarrow as pa

from demo.summary import UNITS as OF_THE_DEMO
from usage_assets.core.schema import Total
from usage_assets.providers.endpoint import Endpoint
from usage_assets_tests.conftest import Sandbox
from usage_assets_tests.fetching.conftest import ENDPOINTS, NewClient

UNITS = {table.replace(".", "/"): units for table, units in OF_THE_DEMO.items()} | {
    "anthropic_analytics/usage_by_product": {"output_tokens": "output_tokens"},
}
"""True unit -> the daily total that shows it."""


def daily_total(endpoint: Endpoint, rows: pa.Table, name: str) -> dict[str, Decimal]:
    """A daily total as the warehouse computes it, without days of nothing."""
    aggregate = endpoint.row.totals.get(name, Total(f"sum({name})")).sql
    found = duckdb.sql(f"select usage_date::varchar, {aggregate} from rows group by usage_date").fetchall()
    return {day: Decimal(total) for day, total in found if total}


Units = dict[str, dict[str, Decimal]]
"""Unit -> day -> its total, without days of nothing."""


def true_units(sandbox: Sandbox, days: list[date]) -> dict[str, Units]:
    """The true total of each provider's units on each day."""
    books: dict[str, dict[str, dict[str, str]]] = sandbox.control(
        "GET", "truth", start=str(days[0]), end=str(days[-1])
    )["days"]
    return {
        provider: {
            unit: {day: Decimal(total) for day, total in by_day.items() if Decimal(total)}
            for unit, by_day in units.items()
        }
        for provider, units in books.items()
    }


def true_totals(sandbox: Sandbox, provider: str, unit: str, days: list[date]) -> dict[str, Decimal]:
    """A unit's true total of each day, without days of nothing."""
    return true_units(sandbox, days)[provider][unit]


def test_api_keys_are_grouped_from_the_day_on_that_allows_it(sandbox: Sandbox, new_client: NewClient) -> None:
    provider, endpoint = ENDPOINTS["openai/costs"]
    floor = date(2025, 12, 6)
    days = [floor + timedelta(days=n) for n in range(-10, 10)]
    client = new_client(provider)
    fetched = client.fetch(endpoint, days)
    groupings = {row["usage_date"]: row["grouped_by"] for row in fetched.rows.to_pylist()}
    assert {day >= floor: grouping for day, grouping in groupings.items()} == {
        False: "api_source,line_item,project_id,user_id",
        True: "api_key_id,api_source,line_item,project_id,user_id",
    }
    assert not any(row["api_key_id"] for row in fetched.rows.to_pylist() if row["usage_date"] < floor)
    assert daily_total(endpoint, fetched.rows, "amount_usd") == true_totals(sandbox, "openai", "usd", days)
    assert (fetched.requests, fetched.refused, fetched.split_windows) == (1, 1, 1)
    assert fetched.groupings == {
        "api_source,line_item,project_id,user_id": 10,
        "api_key_id,api_source,line_item,project_id,user_id": 10,
    }

    again = client.fetch(endpoint, days[:5])
    assert (again.requests, again.refused, again.split_windows) == (1, 0, 0), "what was learnt is not asked again"
    assert set(again.groupings) == {"api_source,line_item,project_id,user_id"}
