"""Who has a seat of Copilot, and GitHub's budgets. Source: @octokit/openapi-types 29.0.1 and docs.github.com."""

from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Annotated

import msgspec

from usage_assets.core.schema import LookupRow, column
from usage_assets.providers.lookup import CreatedAt, Lookup
from usage_assets.providers.records import Json

PER_PAGE = 100
"""The most that GitHub answers with. A page with fewer items is the last."""


class Seats(
    LookupRow,
    kw_only=True,
    rename={
        "id": "assignee.login",
        "user_id": "assignee.id",
        "assigning_team": "assigning_team.slug",
    },
):
    """One row per connection, login of a person with a seat, and version of its attributes.

    GitHub bills a seat whether it is used or not. Each use changes last_activity_at, so it makes a version.
    """

    table = "github_copilot.seats"

    id: Annotated[str, column("Login of the person, as user_id in costs", personal=True)]
    user_id: Annotated[int | None, column("GitHub's id of the person")] = None
    assigning_team: Annotated[str | None, column("Team that the person has the seat through; none: their own")] = None
    plan_type: Annotated[str | None, column("Plan, such as business or enterprise")] = None
    created_at: CreatedAt = None
    last_activity_at: Annotated[datetime | None, column("When the person last used Copilot; none: never")] = None
    pending_cancellation_date: Annotated[str | None, column("Day on which the seat ends")] = None


class Budgets(LookupRow, kw_only=True):
    """One row per connection, budget of the organization, and version of its attributes. Of all products."""

    table = "github_copilot.budgets"

    budget_type: Annotated[str | None, column("ProductPricing or SkuPricing")] = None
    budget_product_sku: Annotated[str | None, column("Product or SKU that it is for")] = None
    budget_scope: Annotated[str | None, column("What it is for: organization, repository, cost_center or user")] = None
    budget_entity_name: Annotated[str | None, column("Name of that")] = None
    user: Annotated[str | None, column("Login of the person that it is for", personal=True)] = None
    budget_amount: Annotated[
        Decimal | None,
        column("The most that may be spent in a month, in dollars; of licences, how many", unit="USD", additive=False),
    ] = None
    prevent_further_usage: Annotated[bool | None, column("Whether use beyond it is refused")] = None


def numbered_page(
    body: Json, after: str | None, *, items: str, total: str | None = None, per_page: int = PER_PAGE
) -> Json:
    """One of the pages that GitHub numbers from 1, in the form of ``Lookup.page``."""
    fields = msgspec.convert(body, dict[str, object])
    data = msgspec.convert(fields.get(items), list[object])
    page = {"data": data, "has_more": len(data) >= per_page, "last_id": str(int(after or 1) + 1)}
    stated = {"total": fields[total]} if total in fields else {}
    return {name: value for name, value in fields.items() if name not in (items, total)} | page | stated


def page_of_budgets(body: Json, after: str | None) -> Json:
    """A page of budgets. In 2026, the reference's examples have a list ``budget_product_skus`` where its schema has one
    ``budget_product_sku``, and say whether there is another page."""
    page = numbered_page(body, after, items="budgets")
    page.pop("total_count", None)
    page["has_more"] = page.pop("has_next_page", page["has_more"])
    page["data"] = [_with_one_sku(budget) if isinstance(budget, dict) else budget for budget in page["data"]]
    return page


def _with_one_sku(budget: Json) -> Json:
    """A budget whose products or SKUs are one text."""
    skus = budget.get("budget_product_skus")
    if budget.get("budget_product_sku") is None and isinstance(skus, list):
        return budget | {"budget_product_sku": ", ".join(map(str, skus)) or None}
    return budget


LOOKUPS = (
    Lookup(
        name="seats",
        path="orgs/{organization}/copilot/billing/seats",
        row=Seats,
        cursor="page",
        items="seats",
        page=partial(numbered_page, items="seats", total="total_seats"),
        params={"per_page": str(PER_PAGE)},
        is_of_one_organization=False,
        left_out=frozenset(
            (
                "assignee",
                "assigning_team",
                "organization",
                "last_activity_editor",
                "last_authenticated_at",
                "updated_at",
            )
        ),
    ),
    Lookup(
        name="budgets",
        path="organizations/{organization}/settings/billing/budgets",
        row=Budgets,
        cursor="page",
        items="budgets",
        page=page_of_budgets,
        params={"per_page": str(PER_PAGE)},
        default_on=False,
        left_out=frozenset(("budget_alerting", "consumed_amount", "budget_product_skus")),
    ),
)
