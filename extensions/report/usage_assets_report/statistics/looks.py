"""Makes the past of a forecast: the stored days of each source, and what their last fetches say about them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np

from usage_assets.core.days import DAY
from usage_assets_report.statistics.forecast import EVERY_DAY, FUTURES, ZERO, Past
from usage_assets_report.statistics.growth import Growth
from usage_assets_report.statistics.series import Floats

YOUNG = 3
"""Providers change the last so many days most. Until it is known how much, no other day is forecast from them."""
VAGUE = 0.1
"""Nor are days forecast from one whose growth has this standard deviation or more, in parts of its mean."""


@dataclass(frozen=True)
class Look:
    """What is known about the day of a source since its last fetch."""

    state: str
    """settled, provisional or open, as in ledger.day_states."""
    age: int
    """Whole days between the end of the day and the fetch."""
    is_growing: bool
    """Whether it was fetched before the end of its settling time."""
    is_empty: bool
    """Whether nothing was billed on the day."""


def past_of(
    connection: str,
    stored: Collection[date],
    by_source: Mapping[str, Mapping[date, Decimal]],
    looks: Mapping[date, Mapping[str, Look]],
    growths: Mapping[str, Growth],
    recurring: Mapping[str, Mapping[int, Mapping[date, Decimal]]],
    *,
    too_small: Collection[date] = (),
    has_ended: bool = False,
) -> Past:
    """Return the past of what a connection billed, in all its sources together.

    ``stored``: its stored days; 0 is the amount of a day that no source has. ``by_source``: source -> day -> amount.
    ``looks``: day -> source -> its look. ``growths``: of each source. ``recurring``: of each source, as in Past.
    ``too_small``: days of which only a part is counted. No other day is forecast from them.
    What comes once a month does not grow: the growth of a source is that of its other days. Days of one connection
    share their random growth, whatever part of it is forecast.
    """
    amounts = {day: sum((of_it.get(day, ZERO) for of_it in by_source.values()), ZERO) for day in stored}
    grown: dict[date, Floats] = {}
    open_, young = set[date](), {*too_small} & amounts.keys()
    for day, whole in amounts.items():
        changing = [
            (source, look, growths.get(source, Growth()), by_source.get(source, {}).get(day, ZERO))
            for source, look in looks.get(day, {}).items()
            if look.state != "settled"
        ]
        if any(_is_like_open(look, growth, amount) for _, look, growth, amount in changing):
            open_.add(day)
        elif any(not growth.is_certain(look.age) for _, look, growth, _ in changing):
            changes = [
                float(amount - _monthly(recurring.get(source, {}), day))
                * (growth.draw(look.age, FUTURES, f"{connection}/{source}/{day}") - 1)
                for source, look, growth, amount in changing
            ]
            grown[day] = float(whole) + np.sum(changes, axis=0)
        is_unknown = any(look.is_growing and not growth.is_known(look.age) for _, look, growth, _ in changing)
        is_vague = day in grown and grown[day].std() > VAGUE * abs(grown[day].mean())
        if is_vague or (is_unknown and day > max(stored) - YOUNG * DAY):
            young.add(day)
    return Past(amounts, grown, open_, young, _together(recurring.values()), has_ended)


def _monthly(recurring: Mapping[int, Mapping[date, Decimal]], day: date) -> Decimal:
    return sum((amounts.get(day, ZERO) for on, amounts in recurring.items() if on != EVERY_DAY), ZERO)


def _together(
    recurring: Iterable[Mapping[int, Mapping[date, Decimal]]],
) -> Mapping[int, Mapping[date, Decimal]]:
    """What all sources have that recurs."""
    sums: dict[int, dict[date, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for of_it in recurring:
        for on, amounts in of_it.items():
            for day, amount in amounts.items():
                sums[on][day] += amount
    return sums


def _is_like_open(look: Look, growth: Growth, amount: Decimal) -> bool:
    """Whether a day is forecast like one to come: it was not over when it was fetched, or is empty at an age at which
    days of this source were empty and later were not."""
    return look.state == "open" or (look.is_empty and not amount and look.age <= growth.grown_from_nothing)
