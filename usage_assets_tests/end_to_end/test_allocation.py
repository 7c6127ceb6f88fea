"""A bill whose users and keys are refused, in parts. The audit compares each part with the books."""

from datetime import timedelta

from usage_assets.core import money
from usage_assets_tests.end_to_end.conftest import Project
from usage_assets_tests.stateful.books import API_KEY_FLOOR


def test_where_openai_refuses_users_and_keys_the_parts_are_still_the_whole_bill(small_project: Project) -> None:
    days = [API_KEY_FLOOR - timedelta(days=1)]
    error = {"message": "user_id cannot be combined with project_id", "type": "invalid_request_error"}
    refusal = {"fault": "status", "status": 400, "body": {"error": error}, "calls": [1]}
    small_project.sandbox.faults({"route": "GET /openai/v1/organization/costs", **refusal})
    assert small_project.fetch("openai", days).success
    rows = small_project.rows("costs.allocated_costs")
    assert {row["grouped_by"] for row in small_project.rows("openai.costs")} == {"api_source,line_item,project_id"}
    assert money.total(row["native_amount"] for row in rows) == small_project.truth(days)["openai usd"]
    assert {row["allocation"] for row in rows} == {"tokens", "unattributed"}
    assert min(len({row[name] for row in rows}) for name in ("user_id", "api_key_id")) > 3
