"""Control totals: what a provider states without grouping, beside what the grouped rows add up to."""

from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from usage_assets.fetching.control_totals import fetch_with_totals
from usage_assets.fetching.transport import PermanentError
from usage_assets.providers.endpoint import Endpoint, Provider
from usage_assets_tests.fetching.conftest import DAY, ENDPOINTS, Answers, NewClient

CONTROLLED = {name: found for name, found in ENDPOINTS.items() if found[1].control}
every_controlled = pytest.mark.parametrize(("provider", "endpoint"), CONTROLLED.values(), ids=CONTROLLED)


def by_day(endpoint: Endpoint, rows: pa.Table) -> dict[date, Decimal]:
    """What the rows of each day add up to; the sandbox knows one currency."""
    assert endpoint.control
    added = rows.group_by("usage_date").aggregate([(endpoint.control.amount, "sum")]).to_pylist()
    return {row["usage_date"]: row[f"{endpoint.control.amount}_sum"] for row in added}


def ungrouped_body(answers: Answers, provider: Provider, endpoint: Endpoint, amount: str) -> dict[str, Any]:
    """The ungrouped answer for DAY, with another amount."""
    body = answers.real(provider, endpoint.ungrouped)
    first = body["data"][0]
    result = first["results"][0] if "results" in first else first["cost"]
    if isinstance(result["amount"], dict):
        result["amount"]["value"] = amount
    else:
        result["amount"] = amount
    return body


def requests_of(answers: Answers, endpoint: Endpoint) -> int:
    """How often an endpoint was asked, without a newer one in its place."""
    return sum(each["path"].endswith(f"/{endpoint.path}") for each in answers.sandbox.requests())


@every_controlled
def test_a_difference_is_read_again_once(
    answers: Answers, new_client: NewClient, provider: Provider, endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    undisturbed = fetch_with_totals(new_client(provider), endpoint, [DAY])
    moved = {"fault": "replace", "body": ungrouped_body(answers, provider, endpoint, "1.5"), "calls": [2]}
    before = requests_of(answers, endpoint)
    answers.faults(provider, endpoint, moved)
    grouped = fetch_with_totals(new_client(provider), endpoint, [DAY])
    assert grouped.totals.equals(undisturbed.totals)
    assert grouped.rows.equals(undisturbed.rows)
    assert grouped.retries == 1
    assert requests_of(answers, endpoint) - before == 4
    assert "grouped and ungrouped differ, reading both again" in caplog.text


def test_a_day_whose_grouped_rows_are_all_lost_is_a_difference(answers: Answers, new_client: NewClient) -> None:
    provider, endpoint = CONTROLLED["openai/costs"]
    totals = by_day(endpoint, fetch_with_totals(new_client(provider), endpoint, [DAY]).totals)
    body = answers.real(provider, endpoint)
    body["data"][0]["results"] = []
    answers.faults(provider, endpoint, {"fault": "replace", "body": body, "calls": [1, 3]})
    grouped = fetch_with_totals(new_client(provider), endpoint, [DAY])
    assert (grouped.rows.num_rows, by_day(endpoint, grouped.totals)) == (0, totals)


@every_controlled
def test_the_providers_own_arithmetic_is_no_difference(
    answers: Answers, new_client: NewClient, provider: Provider, endpoint: Endpoint
) -> None:
    grouped = fetch_with_totals(new_client(provider), endpoint, [DAY])
    nearly = by_day(endpoint, grouped.totals)[DAY] + grouped.rows.num_rows * Decimal("9e-13")
    moved = {"fault": "replace", "body": ungrouped_body(answers, provider, endpoint, f"{nearly:f}"), "calls": [2]}
    before = requests_of(answers, endpoint)
    answers.faults(provider, endpoint, moved)
    fetch_with_totals(new_client(provider), endpoint, [DAY])
    assert requests_of(answers, endpoint) - before == 2


@every_controlled
def test_a_day_without_an_ungrouped_bucket_is_refused(
    answers: Answers, new_client: NewClient, provider: Provider, endpoint: Endpoint
) -> None:
    """Otherwise the stored control totals of the day would become nothing, which the provider never said."""
    empty = {"fault": "replace", "body": {"data": [], "has_more": False, "next_page": None}, "calls": [2, 4]}
    answers.faults(provider, endpoint, empty)
    if endpoint.bucket_per_day:
        with pytest.raises(PermanentError, match=f"the answer has no bucket for {DAY}") as raised:
            fetch_with_totals(new_client(provider), endpoint, [DAY])
        assert raised.value.days == (DAY,)
    else:
        fetched = fetch_with_totals(new_client(provider), endpoint, [DAY])
        assert fetched.totals.num_rows == 0, "flat rows have no buckets"
