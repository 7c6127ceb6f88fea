"""GitHub's billing reports: what their items become, and which are refused."""

from decimal import Decimal
from typing import Any

import pytest

from usage_assets.fetching.transport import ProviderError
from usage_assets.providers.github_copilot.billing import GITHUB_COPILOT
from usage_assets_tests.fetching.conftest import DAY, Answers, NewClient

ENDPOINTS = {endpoint.name: endpoint for endpoint in GITHUB_COPILOT.endpoints}
USAGE = ENDPOINTS["billing_usage"]


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
    answers.faults(
        GITHUB_COPILOT, USAGE, {"fault": "edit", "operations": [{"do": "set", "path": "usageItems", "to": items}]}
    )
    [row] = new_client(GITHUB_COPILOT).fetch(USAGE, [DAY]).rows.to_pylist()
    assert (row["quantity"], row["net_amount"], row["gross_amount"], row["discount_amount"]) == (
        Decimal("0.283333328"),
        Decimal("5.383333232"),
        Decimal("5.383333232"),
        0,
    )
    assert (row["sku"], row["price_per_unit"], row["other_fields"]) == ("Copilot Business", 19, None)


@pytest.mark.parametrize(
    ("unit", "stored"),
    [
        ("ai-credits", "ai-credits"),
        ("AI credits", "ai-credits"),
        ("AICredits", "ai-credits"),
        ("ai-units", "ai-credits"),
        ("credits", "ai-credits"),
        ("requests", "requests"),
        ("Premium Requests", "requests"),
        ("premium-requests", "requests"),
    ],
)
@pytest.mark.parametrize("name", ["ai_credits", "premium_requests", "billing_usage"])
def test_units_have_one_spelling_beside_githubs(
    answers: Answers, new_client: NewClient, name: str, unit: str, stored: str
) -> None:
    answers.faults(GITHUB_COPILOT, ENDPOINTS[name], with_items({"unitType": unit}))
    rows = new_client(GITHUB_COPILOT).fetch(ENDPOINTS[name], [DAY]).rows.to_pylist()
    assert [(row["unit_type"], row["unit"]) for row in rows] == [(unit, stored)]


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("ai_credits", {"unitType": "tokens"}, "the unit 'tokens' is not known, of Copilot, Copilot AI Credits"),
        ("premium_requests", {"unitType": None}, "the unit 'None' is not known, of Copilot, Copilot AI Credits"),
        ("premium_requests", {"unitType": "user-months"}, "the unit 'user-months' is not known, of Copilot"),
        ("billing_usage", {"unitType": "tokens"}, "the unit 'tokens' is not known, of Copilot, Copilot AI Credits"),
    ],
)
def test_a_day_with_an_unknown_unit_of_copilot_is_refused(
    answers: Answers, new_client: NewClient, name: str, change: dict[str, Any], problem: str
) -> None:
    answers.faults(GITHUB_COPILOT, ENDPOINTS[name], with_items(change))
    with pytest.raises(ProviderError) as refused:
        new_client(GITHUB_COPILOT).fetch(ENDPOINTS[name], [DAY])
    assert problem in str(refused.value)
    assert f"unitType ({DAY})" in str(refused.value)
    assert "Please report it" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_units_of_other_products_are_stored_as_they_are(answers: Answers, new_client: NewClient) -> None:
    answers.faults(GITHUB_COPILOT, USAGE, with_items({"product": "Actions", "unitType": "minutes"}))
    rows = new_client(GITHUB_COPILOT).fetch(USAGE, [DAY]).rows.to_pylist()
    assert [(row["unit_type"], row["unit"]) for row in rows] == [("minutes", None)]


def with_items(change: dict[str, Any]) -> dict[str, Any]:
    """The answer with one item of metered use that is changed."""
    amounts = {"grossAmount": 1, "discountAmount": 0, "netAmount": 1, "pricePerUnit": 0.01}
    quantities = {"grossQuantity": 100, "discountQuantity": 0, "netQuantity": 100} | amounts
    usage = {"product": "Copilot", "sku": "Copilot AI Credits", "date": str(DAY), **quantities, **change}
    return {"fault": "edit", "operations": [{"do": "set", "path": "usageItems", "to": [usage]}]}
