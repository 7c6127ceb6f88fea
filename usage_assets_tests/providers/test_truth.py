"""What is fetched is what the provider's books say, to the last digit."""

from usage_assets.core.days import windows
from usage_assets_tests.fetching.conftest import ENDPOINTS, NewClient
from usage_assets_tests.fixtures import Sandbox, last_days
from usage_assets_tests.models.days import lines


def test_a_year_takes_as_few_requests_as_the_api_allows(sandbox: Sandbox, new_client: NewClient) -> None:
    head, *expected = lines("""
        name                             days  windows  requests  refused  split_windows  retries
        openai/costs                     365   3        3         1        1              0
        openai/usage_completions         365   12       12        0        0              0
        anthropic/cost_report            365   12       12        0        0              0
        anthropic/claude_code            90    90       90        0        0              0
        chatgpt/codex_usage              90    3        6         0        0              0
        anthropic_analytics/cost_report  90    3        3         0        0              0
    """)
    for name, number, *counts in expected:
        provider, endpoint = ENDPOINTS[name]
        days = last_days(int(number))
        sandbox.control("POST", "requests/clear")
        fetched = new_client(provider).fetch(endpoint, days)
        found = [len(windows(days, endpoint.window_days)), *(getattr(fetched, each) for each in head[3:])]
        assert found == [*map(int, counts)], name
        assert len(sandbox.requests()) == fetched.requests + fetched.refused + fetched.split_windows, name
