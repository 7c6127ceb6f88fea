"""GitHub's billing reports: what their items become, and which are refused."""

import re
from decimal import Decimal
from typing import Any

from usage_assets_tests.fetching.conftest import DAY, Answers, NewClient
from usage_assets_tests.fetching.refusals import edit, put
from usage_assets_tests.providers import recorded
from usage_assets_vendors.github_copilot.billing import GITHUB_COPILOT

[USAGE] = [endpoint for endpoint in GITHUB_COPILOT.endpoints if endpoint.name == "billing_usage"]


def item(time: str, quantity: str, amount: str) -> dict[str, Any]:
    """What one organization pays for seats, at a time of the day."""
    return {
        "date": f"{DAY}T{time}Z",
        "product": "copilot",
        "sku": "Copilot Business",
        "quantity": float(quantity),
        "unitType": "UserMonths",
        "pricePerUnit": 19,
        "grossAmount": float(amount),
        "discountAmount": 0,
        "netAmount": float(amount),
        "organizationName": "acme",
        "repositoryName": "",
    }


def test_items_of_one_day_that_differ_in_their_time_are_added_up(answers: Answers, new_client: NewClient) -> None:
    items = [item("01:34:34", "0.249999995", "4.749999905"), item("03:00:12", "0.033333333", "0.633333327")]
    answers.faults(GITHUB_COPILOT, USAGE, edit(put("usageItems", items)))
    [row] = new_client(GITHUB_COPILOT).fetch(USAGE, [DAY]).rows.to_pylist()
    assert (row["quantity"], row["net_amount"], row["gross_amount"], row["discount_amount"]) == (
        Decimal("0.283333328"),
        Decimal("5.383333232"),
        Decimal("5.383333232"),
        0,
    )
    assert (row["sku"], row["price_per_unit"], row["other_fields"]) == ("Copilot Business", 19, None)


def test_what_github_adds_to_its_metrics_is_kept_and_is_no_unknown_field() -> None:
    """But for how it computed a row: that changes where the row does not."""
    kept = {"users_1_day_official_ai_credits.json": "used_", "organization_1_day_repeats_users.json": "daily_"}
    bodies = {body.path.name: body for body in recorded.every_body() if body.folder == "github_copilot"}
    for name, field in kept.items():
        [(_, rows)] = recorded.rows_of(bodies[name])
        [row] = rows.to_pylist()
        assert row["other_fields"] is None
        assert f'"{field}' in row["breakdown"]
        assert not re.search("etl_id|_partition|created_at", str(row))
