"""What is fetched is what the provider's books say, to the last digit."""

import pytest

from usage_assets.core.days import windows
from usage_assets_tests.fetching.conftest import ENDPOINTS, NewClient
from usage_assets_tests.fixtures import Sandbox, last_days


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
