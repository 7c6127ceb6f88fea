"""What GitHub bills the company for Copilot on a given day, in dollars: metered use per model, and seats; who used it.

Metered use is AI credits since June 2026, and premium requests before.
"""

from calendar import monthrange
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

from usage_assets_sandbox.books import Book, Books, Unit, field, fields
from usage_assets_sandbox.company import ATTENDANCE, Company, DayRows, Row, Value, as_reported, total

CREDITS_SINCE = date(2026, 6, 1)
# Model, AI credits on an ordinary day, premium requests on one.
MODELS = (
    ("Claude Sonnet 4.5", 900, 40),
    ("Claude Opus 4.5", 400, 12),
    ("GPT-5", 650, 35),
    ("Code Review model", 120, 6),
)
CREDIT, REQUEST = Decimal("0.01"), Decimal("0.04")
# What the plan includes of each model's use on a day.
INCLUDED_CREDITS, INCLUDED_REQUESTS = Decimal(300), Decimal(10)
# Plan, seats, dollars per seat and month.
SEATS = (("Copilot Business", 14, Decimal(19)), ("Copilot Enterprise", 3, Decimal(39)))
REPOSITORIES = ("checkout", "data-platform")
CREDITS_PER_PERSON_SINCE = date(2026, 6, 19)
# Who has a seat, the enterprise plan's first. The last two never use it.
DEVELOPERS = tuple(
    f"{name}-acme"
    for name in (
        "alice", "bob", "chen", "dana", "emeka", "fatima", "goran", "hana", "ivan", "julia", "kofi", "lena", "mei",
        "nils", "olga", "pablo", "quinn",
    )
)  # fmt: skip
WITHOUT_USE = 2


def github_copilot_day(company: Company, day: date) -> DayRows:
    """The rows of each report. That of all products repeats the metered use, without models."""
    with_credits = day >= CREDITS_SINCE
    metered = list(_metered(company, day, with_credits=with_credits))
    return {
        "ai_credits": metered if with_credits else [],
        "premium_requests": [] if with_credits else metered,
        "billing_usage": [*_summed(metered), *_seats(company, day), *_of_others(company, day)],
        "users_1_day": [*_users(company, day)],
        "organization_1_day": [_organization(company, day)],
    }


def _present(company: Company, day: date) -> list[str]:
    """Who uses Copilot on a day: at least the first."""
    dice = company.dice("github copilot people", day)
    first, *others = DEVELOPERS[:-WITHOUT_USE]
    return [first, *(login for login in others if dice.random() < ATTENDANCE[day.weekday()])]


def _users(company: Company, day: date) -> Iterator[Row]:
    dice = company.dice("github copilot use", day)
    for login in _present(company, day):
        interactions = 1 + int(60 * company.pace(day) * dice.random())
        suggested = 20 * interactions + dice.randrange(200)
        used = Decimal(1 + dice.randrange(20_000)).scaleb(-2)
        yield {
            "user_login": login,
            "user_id": 5_000_000 + DEVELOPERS.index(login),
            "organization_id": "9001",
            "ai_credits_used": as_reported(used, dice) if day >= CREDITS_PER_PERSON_SINCE else None,
            "user_initiated_interaction_count": interactions,
            "code_generation_activity_count": 2 * interactions,
            "code_acceptance_activity_count": interactions // 2,
            "loc_suggested_to_add_sum": suggested,
            "loc_suggested_to_delete_sum": suggested // 5,
            "loc_added_sum": suggested // 3,
            "loc_deleted_sum": suggested // 9,
            "used_agent": dice.random() < 0.4,
            "used_chat": dice.random() < 0.8,
        }


def _organization(company: Company, day: date) -> Row:
    """The sums of the persons' counts, and how many distinct persons there were."""
    users = [*_users(company, day)]
    month = [{*_present(company, day - timedelta(days=n))} for n in range(28)]
    counts = [name for name, value in users[0].items() if name.endswith(("_count", "_sum"))]
    return {
        "organization_id": "9001",
        "daily_active_users": len(users),
        "weekly_active_users": len(set().union(*month[:7])),
        "monthly_active_users": len(set().union(*month)),
        "monthly_active_chat_users": len(set().union(*month[:20])),
        "monthly_active_agent_users": len(set().union(*month[:3])),
        **{name: total(row[name] for row in users) for name in counts},
        "prs_created": len(users) // 2,
        "prs_reviewed": len(users),
        "prs_merged": len(users) // 3,
        "suggestions_applied": 2 * len(users),
    }


def _metered(company: Company, day: date, *, with_credits: bool) -> Iterator[Row]:
    dice = company.dice("github copilot", day)
    for model, usual_credits, usual_requests in MODELS:
        if dice.random() > ATTENDANCE[day.weekday()]:
            continue
        if with_credits:
            sku, unit, price, usual, included = "AI Credits", "ai-credits", CREDIT, usual_credits, INCLUDED_CREDITS
        else:
            sku, unit, price, usual, included = (
                "Premium Request",
                "requests",
                REQUEST,
                usual_requests,
                INCLUDED_REQUESTS,
            )
        quantity = Decimal(1 + int(100 * usual * company.pace(day) * (0.5 + dice.random()))).scaleb(-2)
        covered = min(quantity, included)
        gross = as_reported(quantity * price, dice)
        net = max(gross - covered * price, Decimal(0))
        discount = gross - net
        if not net:  # as recorded: more than was used is discounted, and nothing is billed
            covered, discount = quantity + 1, gross + price
        yield {
            "product": "Copilot",
            "sku": f"Copilot {sku}",
            "model": model,
            "unit_type": unit,
            "price_per_unit": price,
            "gross_quantity": quantity,
            "discount_quantity": covered,
            "net_quantity": max(quantity - covered, Decimal(0)),
            "gross_amount": gross,
            "discount_amount": discount,
            "net_amount": total((net,)),
        }


def _summed(metered: list[Row]) -> Iterator[Row]:
    if metered:
        sums = {name: total(row[name] for row in metered) for name in ("gross_amount", "discount_amount", "net_amount")}
        same = {name: metered[0][name] for name in ("product", "sku", "unit_type", "price_per_unit")}
        yield {**same, "repository": None, "quantity": total(row["gross_quantity"] for row in metered), **sums}


def _seats(company: Company, day: date) -> Iterator[Row]:
    dice = company.dice("github copilot seats", day)
    days_in_month = monthrange(day.year, day.month)[1]
    for plan, seats, price in SEATS:
        months = (Decimal(seats) / days_in_month).quantize(Decimal("0.000000001"))
        gross = as_reported(months * price, dice)
        yield _line("Copilot", plan, "user-months", price, None, months, gross)


def _of_others(company: Company, day: date) -> Iterator[Row]:
    """Minutes of Actions: in the report of all products, and no AI."""
    dice = company.dice("github actions", day)
    price = Decimal("0.008")
    for repository in REPOSITORIES:
        minutes = Decimal(1 + int(300 * company.pace(day) * dice.random()))
        yield _line("Actions", "Actions Linux", "minutes", price, repository, minutes, minutes * price)


def _line(
    product: str, sku: str, unit: str, price: Decimal, repository: str | None, quantity: Decimal, gross: Decimal
) -> Row:
    return {
        "product": product,
        "sku": sku,
        "unit_type": unit,
        "price_per_unit": price,
        "repository": repository,
        "quantity": quantity,
        "gross_amount": gross,
        "discount_amount": Decimal(0),
        "net_amount": gross,
    }


def _of_copilot(row: Row) -> Value:
    return row["net_amount"] if row["product"] == "Copilot" else None


def _cost_of_seats(row: Row) -> Value:
    return row["net_amount"] if row["unit_type"] == "user-months" else None


_METERED = ("product", "sku", "model", "unit_type", "price_per_unit")
BOOKS = Books(
    github_copilot_day,
    {
        "ai_credits": Book(
            _METERED,
            {
                **fields(ai_credits_gross_usd="gross_amount", ai_credits_usd="net_amount"),
                "ai_credits": field("gross_quantity", "ai_credits"),
            },
            lambda _, n: {"model": f"Late model {n}"},
        ),
        "premium_requests": Book(
            _METERED,
            {
                "premium_requests_usd": field("net_amount"),
                "premium_requests": field("gross_quantity", "premium_requests"),
            },
            lambda _, n: {"model": f"Late model {n}"},
        ),
        "billing_usage": Book(
            ("product", "sku", "unit_type", "price_per_unit", "repository"),
            {"seats_usd": Unit(_cost_of_seats, "seats_amount"), "copilot_usd": Unit(_of_copilot)},
            lambda _, n: {"product": "Copilot", "unit_type": "user-months", "sku": f"Late plan {n}"},
        ),
        "users_1_day": Book(
            ("user_login", "user_id", "organization_id", "used_agent", "used_chat"),
            fields(
                copilot_ai_credits_used="ai_credits_used",
                copilot_interactions="user_initiated_interaction_count",
                copilot_lines_added="loc_added_sum",
            ),
            lambda _, n: {"user_login": f"late{n}-acme", "user_id": 6_000_000 + n},
        ),
        "organization_1_day": Book(
            ("organization_id",),
            fields(
                organization_interactions="user_initiated_interaction_count", organization_lines_added="loc_added_sum"
            ),
            lambda _, n: {"organization_id": f"99{n}"},
        ),
    },
)
