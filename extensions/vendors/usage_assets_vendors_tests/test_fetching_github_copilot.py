"""GitHub's billing reports: what their items become, and which are refused."""

from decimal import Decimal
from typing import Any

from usage_assets_tests.fetching.conftest import DAY, Answers, NewClient
from usage_assets_tests.fetching.refusals import edit, put
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
