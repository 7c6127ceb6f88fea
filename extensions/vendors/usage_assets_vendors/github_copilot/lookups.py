"""Who has a seat of Copilot, and GitHub's budgets. Source: @octokit/openapi-types 29.0.1 and docs.github.com."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import msgspec

from usage_assets.provider import CreatedAt, Json, Lookup, LookupRow, ShapeError, column

PER_PAGE, BUDGETS_PER_PAGE = 100, 10
"""The most that GitHub answers with. A page with fewer items is the last."""
BUNDLES = frozenset(("ai_credits",))
SELECTORS = {
    "budget_type": frozenset(("ProductPricing", "SkuPricing", "BundlePricing")),
    "budget_scope": frozenset(
        (
            "enterprise",
            "organization",
            "repository",
            "cost_center",
            "user",
            "multi_user_customer",
            "multi_user_cost_center",
        )
    ),
    "budget_product_sku": frozenset(),
}
"""Field that says what a budget is for -> the values that are known; empty: any text."""
NO_SELECTOR = "It was not stored, because nothing says what it limits. Please report it, so that a release knows it"


class Seats(
    LookupRow,
    kw_only=True,
    rename={
        "user_id": "assignee.id",
        "assignee_type": "assignee.type",
        "assigning_team": "assigning_team.slug",
        "organization": "organization.login",
    },
):
    """One row per connection, seat, and version of its attributes.

    GitHub bills a seat whether it is used or not. Each use changes last_activity_at, so it makes a version. GitHub may
    list a seat once for each team or organization that gives it, and bills it once: the row names all of them. A seat
    of a team or an organization has no login: its id is the kind and the name (Team octokittens).
    """

    table = "github_copilot.seats"

    id: Annotated[
        str, column("Login of the person, as user_id in costs; kind and name of a team or organization", personal=True)
    ]
    user_id: Annotated[int | None, column("GitHub's id of the person")] = None
    assignee_type: Annotated[str | None, column("Who has the seat: User, Team or Organization")] = None
    assigning_team: Annotated[str | None, column("Teams that the person has the seat through; none: their own")] = None
    organization: Annotated[str | None, column("Organizations that give the seat, in the list of an enterprise")] = None
    plan_type: Annotated[str | None, column("Plan, such as business or enterprise")] = None
    created_at: CreatedAt = None
    last_activity_at: Annotated[datetime | None, column("When the person last used Copilot; none: never")] = None
    pending_cancellation_date: Annotated[str | None, column("Day on which the seat ends")] = None


class Budgets(LookupRow, kw_only=True):
    """One row per connection, budget of the organization or enterprise, and version of its attributes.

    GitHub lists the budgets of all products.
    """

    table = "github_copilot.budgets"

    enterprise: Annotated[str | None, column("Enterprise whose list it is in; none: an organization's")] = None
    budget_type: Annotated[str | None, column("ProductPricing, SkuPricing or BundlePricing")] = None
    budget_product_sku: Annotated[str | None, column("Products, SKUs or bundle that it is for")] = None
    budget_scope: Annotated[
        str | None,
        column(
            "What it is for: enterprise, organization, repository, cost_center or user. Of multi_user_customer and "
            "multi_user_cost_center, each user has the amount"
        ),
    ] = None
    budget_entity_name: Annotated[str | None, column("Name of that")] = None
    user: Annotated[str | None, column("Login of the person that it is for", personal=True)] = None
    budget_amount: Annotated[
        Decimal | None,
        column(
            "The most that may be spent in a month, in dollars; of licences, how many",
            unit="USD",
            kind="planned",
            additive=False,
        ),
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
    page = numbered_page(body, after, items="budgets", per_page=BUDGETS_PER_PAGE)
    page.pop("total_count", None)
    page["has_more"] = page.pop("has_next_page", page["has_more"])
    page["data"] = [
        _budget(budget, f"$.budgets[{n}]") if isinstance(budget, dict) else budget
        for n, budget in enumerate(page["data"])
    ]
    return page


def _budget(budget: Json, path: str) -> Json:
    """A budget whose products or SKUs are one text. Raises ShapeError unless it says what it is for in words that are
    known: else a budget of Copilot would not be seen, or one of a part would be that of everything."""
    skus = budget.get("budget_product_skus")
    if budget.get("budget_product_sku") is None and isinstance(skus, list):
        budget = budget | {"budget_product_sku": ", ".join(map(str, skus)) or None}
    for name, known in SELECTORS.items():
        value = budget.get(name)
        if not value or not isinstance(value, str) or (known and value not in known):
            what = f"{value!r} is not known" if value else "it does not say what it is for"
            raise ShapeError(f"{path}.{name}", None, f"{what}: budget {budget.get('id')}", NO_SELECTOR)
    if budget["budget_type"] == "BundlePricing" and budget["budget_product_sku"] not in BUNDLES:
        what = f"bundle {budget['budget_product_sku']!r} is not known: budget {budget.get('id')}"
        raise ShapeError(f"{path}.budget_product_sku", None, what, NO_SELECTOR)
    return budget


def page_of_seats(body: Json, after: str | None, *, per_page: int = PER_PAGE) -> Json:
    """A page of seats, each with the login of its person, or kind and name of the team or organization that has it."""
    page = numbered_page(body, after, items="seats", total="total_seats", per_page=per_page)
    page["data"] = [_seat(seat) if isinstance(seat, dict) else seat for seat in page["data"]]
    return page


def _seat(seat: Json) -> Json:
    match seat.get("assignee"):
        case {"login": login}:
            return seat | {"id": login}
        case {"type": kind, "slug": name} | {"type": kind, "name": name}:
            return seat | {"id": f"{kind} {name}"}
    return seat


def one_seat(one: Seats, other: Seats) -> Seats:
    """The seat that is listed for two teams or organizations: it is used, and ends, with either."""
    ends = (one.pending_cancellation_date, other.pending_cancellation_date)
    return msgspec.structs.replace(
        one,
        assigning_team=_names(one.assigning_team, other.assigning_team),
        organization=_names(one.organization, other.organization),
        plan_type=one.plan_type or other.plan_type,
        created_at=_of_known(min, one.created_at, other.created_at),
        last_activity_at=_of_known(max, one.last_activity_at, other.last_activity_at),
        pending_cancellation_date=max(end or "" for end in ends) if all(ends) else None,
    )


def _names(*lists: str | None) -> str | None:
    return ", ".join(sorted({name for names in lists if names for name in names.split(", ")})) or None


def _of_known(which: Callable[..., datetime], *times: datetime | None) -> datetime | None:
    return which(known) if (known := [time for time in times if time]) else None


LOOKUPS = (
    Lookup(
        name="seats",
        path="orgs/{organization}/copilot/billing/seats",
        or_path="enterprises/{enterprise}/copilot/billing/seats",
        row=Seats,
        cursor="page",
        items="seats",
        page=page_of_seats,
        merged=one_seat,
        params={"per_page": str(PER_PAGE)},
        is_of_one_organization=False,
        left_out=(
            "assignee",
            "assigning_team",
            "organization",
            "last_activity_editor",
            "last_authenticated_at",
            "updated_at",
        ),
    ),
    Lookup(
        name="budgets",
        path="organizations/{organization}/settings/billing/budgets",
        or_path="enterprises/{enterprise}/settings/billing/budgets",
        settings=("enterprise",),
        row=Budgets,
        cursor="page",
        items="budgets",
        page=page_of_budgets,
        params={"per_page": str(BUDGETS_PER_PAGE)},
        default_on=False,
        left_out=("budget_alerting", "consumed_amount", "budget_product_skus"),
    ),
)
