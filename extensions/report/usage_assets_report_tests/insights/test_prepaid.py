"""Prepaid credits: each day's use is drawn from one order after the other, and all orders add up to what was used."""

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from usage_assets_report.insights.budgets import Budget, Pool, pools_of
from usage_assets_report.insights.stated import CREDITS

FIRST = date(2026, 10, 1)


def order(name: str, quantity: int, first: date, last: date, connection: str = "chatgpt") -> Budget:
    """An order of prepaid credits."""
    return Budget(name, "purchase", "connection", connection, CREDITS, Decimal(quantity), "once", (), first, last)


def in_days(days: int) -> date:
    return FIRST + timedelta(days=days)


def credit_by_credit(orders: list[Budget], used: dict[date, Decimal]) -> dict[str, dict[date, Decimal]]:
    """What each order loses if every single credit asks for the first order that has one left."""
    left = {each.name: int(each.amount) for each in orders}
    lost: dict[str, dict[date, Decimal]] = {each.name: defaultdict(Decimal) for each in orders}
    for day, amount in sorted(used.items()):
        valid = sorted((each.last, each.first, each.name) for each in orders if each.first <= day <= each.last)
        for _ in range(int(amount) if valid else 0):
            name = next((name for *_, name in valid if left[name]), valid[-1][-1])
            left[name] -= left[name] > 0
            lost[name][day] += 1
    return {name: dict(days) for name, days in lost.items()}


def test_random_orders_lose_what_single_credits_take_from_them() -> None:
    for seed in range(200):
        random = Random(seed)
        orders = []
        for n in range(random.randrange(1, 5)):
            first = random.randrange(30)
            orders.append(
                order(f"o{n}", random.randrange(1, 120), in_days(first), in_days(first + random.randrange(30)))
            )
        used = {in_days(n): Decimal(random.randrange(20)) for n in range(45) if random.random() < 0.7}
        drawn = {each.name: pool.drawn(each, used) for pool in pools_of(orders) for each in pool.orders}
        assert drawn == credit_by_credit(orders, used), seed


def test_orders_of_one_connection_that_overlap_are_one_pool() -> None:
    october, november, both, next_year, other = (
        order("october", 1, FIRST, in_days(30)),
        order("november", 1, in_days(31), in_days(60)),
        order("both", 1, in_days(10), in_days(50)),
        order("next year", 1, in_days(100), in_days(120)),
        order("other", 1, FIRST, in_days(30), "chatgpt-2"),
    )
    found = [*pools_of([november, next_year, other, october, both])]
    assert found == [Pool([october, both, november]), Pool([next_year]), Pool([other])]
