"""What changed, split: compared with the formulas, written again here for whole items, and with itself turned round."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from usage_assets_report.changes import (
    KINDS,
    NOT_COMPARED,
    Difference,
    Item,
    Used,
    difference,
    less,
    splits_of,
)

ULP = Fraction(1, 10**24)
CENTS = st.integers(1, 10**7).map(lambda number: Decimal(number).scaleb(-3))
QUANTITY = st.integers(1, 10**10).map(Decimal)
RATES = st.sampled_from([Decimal("1.08"), Decimal("1.1"), Decimal("0.97")])
Period = Mapping[Item, Used]


@st.composite
def used(draw: st.DrawFn, item: Item) -> Used:
    """An item in one period: in dollars or euros, with a quantity of all of it, of a part, or without one."""
    native = draw(CENTS)
    usd = native * (draw(RATES) if item.currency == "EUR" else 1)
    if draw(st.integers(0, 9)) == 0:
        return Used(usd, native, {})
    covered = native * Decimal(draw(st.sampled_from([1, 1, 1, 2]))) / 2 if draw(st.booleans()) else native
    return Used(usd, native, {"Tokens": (draw(QUANTITY), covered)})


@st.composite
def companies(draw: st.DrawFn) -> tuple[Period, Period]:
    """Items of two connections in two periods."""
    items = [
        Item(draw(st.sampled_from("ab")), f"price {n}", draw(st.sampled_from(["USD", "USD", "EUR"])), "p", kind)
        for n, kind in enumerate(
            draw(st.lists(st.sampled_from(["usage", "usage", "usage", "seats", "credits_and_taxes"]), max_size=6))
        )
    ]
    before = {item: draw(used(item)) for item in items if draw(st.integers(0, 4))}
    now = {item: draw(used(item)) for item in items if draw(st.integers(0, 4))}
    return before, now


def cells_of(before: Period, now: Period) -> list[tuple[Item, Decimal, Decimal]]:
    """The dollars of each item."""
    none = Used(Decimal(0), Decimal(0), {})
    return [(item, before.get(item, none).usd, now.get(item, none).usd) for item in {**before, **now}]


def by_the_formulas(before: Period, now: Period) -> dict[str, Fraction]:
    """Volume, mix and price as the issue states them: of items whose whole bill has a quantity, in dollars."""
    common = [item for item in before if item in now and item.kind == "usage"]
    total: dict[tuple[str, int], Fraction] = defaultdict(Fraction)
    for item in common:
        for side, period in enumerate((before, now)):
            total[item.connection, side] += Fraction(period[item].quantities["Tokens"][0])
    parts: dict[str, Fraction] = defaultdict(Fraction)
    for item in common:
        q0, q1 = (Fraction(period[item].quantities["Tokens"][0]) for period in (before, now))
        p0, p1 = Fraction(before[item].usd) / q0, Fraction(now[item].usd) / q1
        t0, t1 = total[item.connection, 0], total[item.connection, 1]
        parts["price"] += (p1 - p0) * (q0 + q1) / 2
        parts["volume"] += (t1 - t0) * (q0 / t0 + q1 / t1) / 2 * (p0 + p1) / 2
        parts["mix"] += (t0 + t1) / 2 * (q1 / t1 - q0 / t0) * (p0 + p1) / 2
    return parts


def is_whole(period: Period) -> bool:
    """Whether all is billed in dollars, for a quantity."""
    return all(
        item.currency == "USD" and each.quantities and each.quantities["Tokens"][1] == each.native
        for item, each in period.items()
        if item.kind == "usage"
    )


def summed(amounts: Iterable[Decimal]) -> Fraction:
    """An exact sum: Python rounds sums of decimals to 28 digits."""
    return sum(map(Fraction, amounts), Fraction())


@settings(max_examples=300, deadline=None)
@given(companies(), st.data())
def test_the_parts_are_those_of_the_formulas_and_add_up(company: tuple[Period, Period], data: st.DataObject) -> None:
    before, now = company
    found = difference(cells_of(before, now), splits_of(before, now))
    turned_round_every_part_has_the_other_sign(found, before, now)
    people_share_the_parts_of_their_items(found, before, now, data)
    assert Fraction(found.now) - Fraction(found.before) == Fraction(found.change) == summed(found.parts.values())
    assert found.before == summed(each.usd for each in before.values())
    assert found.now == summed(each.usd for each in now.values())
    new, gone = (
        summed(each.usd for item, each in here.items() if item not in there and item.kind == "usage")
        for here, there in ((now, before), (before, now))
    )
    assert [Fraction(found.parts[kind]) for kind in ("new", "gone")] == [new, -gone]
    if is_whole(before) and is_whole(now):
        for kind, expected in by_the_formulas(before, now).items():
            assert abs(Fraction(found.parts[kind]) - expected) <= 20 * ULP, kind


def turned_round_every_part_has_the_other_sign(there: Difference, before: Period, now: Period) -> None:
    """No part depends on which of the two is the base."""
    back = difference(cells_of(now, before), splits_of(now, before))
    swapped = {"new": "gone", "gone": "new"}
    for kind in KINDS:
        assert abs(Fraction(there.parts[kind]) + Fraction(back.parts[swapped.get(kind, kind)])) <= 20 * ULP, kind


def people_share_the_parts_of_their_items(whole: Difference, before: Period, now: Period, data: st.DataObject) -> None:
    weights = splits_of(before, now)
    people: dict[str, list[tuple[Item, Decimal, Decimal]]] = defaultdict(list)
    for item, old, new in cells_of(before, now):
        share, share_now = (Decimal(data.draw(st.integers(0, 4))) / 4 for _ in range(2))
        people["ann"].append((item, old * share, new * share_now))
        people["ben"].append((item, old - old * share, new - new * share_now))
    rows = {name: difference(cells, weights) for name, cells in people.items()}
    for row in rows.values():
        assert Fraction(row.change) == summed(row.parts.values())
    for kind in KINDS:
        assert abs(summed(row.parts[kind] for row in rows.values()) - Fraction(whole.parts[kind])) <= 20 * ULP
    rest = less(whole, rows.values())
    assert rest.before == rest.now == 0
    assert rest.change == summed(rest.parts.values()) == 0


def test_a_month_by_hand() -> None:
    """Two models at $1 and $2 a token. Use doubles to 20 tokens and moves to the dearer one, which becomes cheaper."""
    cheap, dear = (Item("openai", name, "USD", None, "usage") for name in ("cheap", "dear"))
    before = {cheap: billed("8", 8), dear: billed("4", 2)}
    now = {cheap: billed("8", 8), dear: billed("18", 12)}
    found = difference(cells_of(before, now), splits_of(before, now))
    # price: dear falls from 2 to 1.5, at a mean of 7 tokens. Volume: 10 more tokens, of which cheap has a mean share of
    # (0.8 + 0.4) / 2 at $1, and dear (0.2 + 0.6) / 2 at $1.75. Mix: 15 tokens, of which 0.4 move from $1 to $1.75
    assert found == Difference(Decimal(12), Decimal(26), parts(price="-3.5", volume="13", mix="4.5"))


def billed(usd: str, quantity: int = 0, native: str = "", unit: str = "Tokens") -> Used:
    """What is billed in dollars, or in another currency, for a quantity."""
    amount = Decimal(native or usd)
    return Used(Decimal(usd), amount, {unit: (Decimal(quantity), amount)} if quantity else {})


def parts(**known: str) -> dict[str, Decimal]:
    return {kind: Decimal(known.get(kind, 0)) for kind in (*KINDS, *NOT_COMPARED)}


def test_an_exchange_rate_is_no_price() -> None:
    item = Item("eu", "tokens", "EUR", None, "usage")
    before, now = ({item: billed(usd, 5, "10")} for usd in ("10.8", "11"))
    found = difference(cells_of(before, now), splits_of(before, now))
    assert found.parts == parts(exchange_rates="0.2")


def test_seats_taxes_and_charges_without_a_quantity_are_apart() -> None:
    kinds = (("x", "seats"), ("x", "credits_and_taxes"), ("y", "usage"))
    seats, tax, unknown = (Item("a", price, "USD", None, kind) for price, kind in kinds)
    before = {seats: billed("19"), unknown: billed("3")}
    now = {seats: billed("38", 2, unit="User-Months"), tax: billed("7"), unknown: billed("5", 1)}
    found = difference(cells_of(before, now), splits_of(before, now))
    assert found.parts == parts(seats="19", credits_and_taxes="7", not_split="2")
