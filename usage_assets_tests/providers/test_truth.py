"""What is fetched is what the provider's books say, to the last digit."""

from decimal import Decimal

import duckdb
import pytest

from demo.summary import UNITS as OF_THE_DEMO
from usage_assets.core.schema import Total
from usage_assets_tests.conftest import Sandbox, last_days
from usage_assets_tests.fetching.conftest import ENDPOINTS, NewClient
from usage_assets_tests.providers.test_conformance import true_units

UNITS = {table.replace(".", "/"): units for table, units in OF_THE_DEMO.items()} | {
    "anthropic_analytics/usage_by_product": {"output_tokens": "output_tokens"},
}
"""True unit -> the daily total that shows it."""


def test_every_day_equals_the_books(sandbox: Sandbox, new_client: NewClient, subtests: pytest.Subtests) -> None:
    books = true_units(sandbox, last_days(10))
    for name, (provider, endpoint) in ENDPOINTS.items():
        rows = new_client(provider).fetch(endpoint, last_days(10)).rows
        for unit, total in UNITS[name].items():
            aggregate = endpoint.row.totals.get(total, Total(f"sum({total})")).sql
            query = f"select usage_date::varchar, {aggregate} from found group by 1"
            found = duckdb.from_arrow(rows).query("found", query).fetchall()
            with subtests.test(f"{name} {unit}"):
                assert {day: Decimal(each) for day, each in found if each} == books[provider.name][unit] != {}
