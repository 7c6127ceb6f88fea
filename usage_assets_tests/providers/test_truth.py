"""What is fetched is what the provider's books say, to the last digit."""

from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest

from usage_assets.core.days import windows
from usage_assets.core.schema import Total
from usage_assets.providers.endpoint import Endpoint, Provider
from usage_assets_tests.fetching.conftest import ENDPOINTS, NewClient, every_endpoint
from usage_assets_tests.fixtures import NOW, Sandbox, last_days
from usage_assets_tests.providers.on_sandbox import Units, true_units
from usage_assets_tests.providers.units import UNITS


def daily_total(endpoint: Endpoint, rows: pa.Table, name: str) -> dict[str, Decimal]:
    """A daily total as the warehouse computes it, without days of nothing."""
    aggregate = endpoint.row.totals.get(name, Total(f"sum({name})")).sql
    found = duckdb.sql(f"select usage_date::varchar, {aggregate} from rows group by usage_date").fetchall()
    return {day: Decimal(total) for day, total in found if total}


@pytest.fixture(scope="module")
def books(sandbox_process: Sandbox) -> dict[str, Units]:
    """The books of 90 days, which take the sandbox half a second to make."""
    sandbox_process.control("POST", "reset", {"now": NOW.isoformat()})
    return true_units(sandbox_process, last_days(90))


@pytest.mark.parametrize("name", ENDPOINTS)
def test_every_day_of_90_equals_the_books(books: dict[str, Units], new_client: NewClient, name: str) -> None:
    provider, endpoint = ENDPOINTS[name]
    rows = new_client(provider).fetch(endpoint, last_days(90)).rows
    truth = books[provider.name]
    for unit, total in UNITS[name].items():
        assert truth[unit]
        assert daily_total(endpoint, rows, total) == truth[unit]


@pytest.mark.parametrize(
    ("name", "days", "planned", "requests", "refused", "split_windows"),
    [
        ("openai/costs", 365, 3, 3, 1, 1),
        ("openai/usage_completions", 365, 12, 12, 0, 0),
        ("anthropic/cost_report", 365, 12, 12, 0, 0),
        ("anthropic/claude_code", 90, 90, 90, 0, 0),
        ("chatgpt/codex_usage", 90, 3, 6, 0, 0),
        ("anthropic_analytics/cost_report", 90, 3, 3, 0, 0),
    ],
)
def test_a_year_takes_as_few_requests_as_the_api_allows(
    sandbox: Sandbox,
    new_client: NewClient,
    name: str,
    days: int,
    planned: int,
    requests: int,
    refused: int,
    split_windows: int,
) -> None:
    provider, endpoint = ENDPOINTS[name]
    fetched = new_client(provider).fetch(endpoint, last_days(days))
    assert (len(windows(last_days(days), endpoint.window_days)), fetched.requests) == (planned, requests)
    assert (fetched.refused, fetched.split_windows, fetched.retries) == (refused, split_windows, 0)
    assert len(sandbox.requests()) == requests + refused + split_windows


@every_endpoint
def test_every_row_is_of_the_connection_and_of_a_day_that_was_asked_for(
    new_client: NewClient, provider: Provider, endpoint: Endpoint
) -> None:
    days = last_days(7)[::2]
    rows = new_client(provider, connection="emea").fetch(endpoint, days).rows.to_pylist()
    assert {row["connection"] for row in rows} == {"emea"}
    assert {row["usage_date"] for row in rows} == set(days)
