"""What GitHub bills the company for Copilot on a given day, in dollars: metered use per model, and seats.

Metered use is AI credits since June 2026, and premium requests before.
"""

from calendar import monthrange
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from usage_assets.sandbox.company import ATTENDANCE, Company, DayRows, Row, as_reported, total

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


def github_copilot_day(company: Company, day: date) -> DayRows:
    """The rows of each report. That of all products repeats the metered use, without models."""
    with_credits = day >= CREDITS_SINCE
    metered = list(_metered(company, day, with_credits=with_credits))
    return {
        "ai_credits": metered if with_credits else [],
        "premium_requests": [] if with_credits else metered,
        "billing_usage": [*_summed(metered), *_seats(company, day), *_of_others(company, day)],
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
        discount = min(gross, covered * price)
        yield {
            "product": "Copilot",
            "sku": f"Copilot {sku}",
            "model": model,
            "unit_type": unit,
            "price_per_unit": price,
            "gross_quantity": quantity,
            "discount_quantity": covered,
            "net_quantity": quantity - covered,
            "gross_amount": gross,
            "discount_amount": discount,
            "net_amount": total((gross, -discount)),
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
