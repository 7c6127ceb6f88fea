"""Claude Enterprise's engagement reports: a day at a time, about a day late, with counts that are never added."""

from typing import Any

import pyarrow.compute as pc
import pytest

from usage_assets.core.days import Window
from usage_assets.core.schema import columns
from usage_assets.fetching.transport import PermanentError
from usage_assets.providers import PROVIDERS
from usage_assets.providers.anthropic_analytics.engagement import ENGAGEMENT_ENDPOINTS
from usage_assets.providers.endpoint import Endpoint
from usage_assets_sandbox.credentials import ANTHROPIC_ANALYTICS_KEY
from usage_assets_tests.fetching.conftest import DAY, Answers
from usage_assets_tests.fixtures import last_days
from usage_assets_tests.models.days import columns_in

PROVIDER = PROVIDERS["anthropic_analytics"]
NAMED = {endpoint.name: endpoint for endpoint in ENGAGEMENT_ENDPOINTS}
BOOKS = columns_in("""
    users chat_message_count=claude_messages claude_code_commit_count=claude_commits
        claude_code_lines_added_count=claude_lines_added web_search_count=claude_web_searches
    skills invocation_count=skill_calls
    connectors read_call_count=connector_reads
    plugins invocation_count=plugin_calls
    artifacts artifacts_created_count=claude_artifacts
    chat_projects message_count=project_messages
    summaries assigned_seat_count=claude_seat_days daily_active_user_count=claude_person_days
""")
"""Report -> column, and the unit of the sandbox's books. Those of summaries are seats and people times days."""
every_report = pytest.mark.parametrize("endpoint", ENGAGEMENT_ENDPOINTS, ids=NAMED)


@every_report
def test_a_report_is_what_the_books_say_and_what_the_official_package_reads(
    answers: Answers, endpoint: Endpoint
) -> None:
    from anthropic import Anthropic  # noqa: PLC0415 - each worker would import it, which takes 3 s

    days = last_days(4)[:-1]
    rows = answers.new_client(PROVIDER).fetch(endpoint, days).rows
    truth = answers.sandbox.truth(days[0], days[-1])["anthropic_analytics"]
    for name, unit in BOOKS[endpoint.name].items():
        assert pc.sum(rows[name]).as_py() == truth[unit] > 0
    with Anthropic(api_key=ANTHROPIC_ANALYTICS_KEY, base_url=f"{answers.sandbox.base_url}/anthropic") as official:
        reports = official.beta.organization.analytics
        report: Any = getattr(reports, endpoint.name, reports.apps.chat.projects)
        whole = [item for day in days for item in report.list(**endpoint.window_params(Window(day, day)))]
    assert len(whole) == rows.num_rows > 0


def test_what_counts_distinct_people_or_things_is_never_added() -> None:
    for endpoint in ENGAGEMENT_ENDPOINTS:
        added = [column.name for column in columns(endpoint.row) if column.unit and column.additive]
        assert not [name for name in added if "distinct" in name or "user_count" in name or "cents" in name]
        assert bool(added) == (endpoint.name != "summaries")


def test_any_other_refusal_is_not_waited_for(answers: Answers) -> None:
    for words in (
        "date: must be no earlier than 2026-01-01",
        "the latest model since 2026-12-01",
        "data is too recent",
    ):
        body = {"error": {"type": "invalid_request_error", "message": words}}
        answers.faults(PROVIDER, NAMED["users"], {"fault": "status", "status": 400, "body": body})
        with pytest.raises(PermanentError) as raised:
            answers.new_client(PROVIDER).fetch(NAMED["users"], [DAY])
        assert type(raised.value) is PermanentError
