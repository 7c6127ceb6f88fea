"""Odd days: what is found, what is said of it, and what is not odd."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from usage_assets_report.statistics.anomalies import Anomaly, find
from usage_assets_report.statistics.series import Series
from usage_assets_report_tests.statistics.made import day, office, series
from usage_assets_tests.models.days import cases

amounts = st.decimals(0, 100_000, places=6)
histories = st.lists(st.one_of(amounts, amounts, amounts, st.none(), st.just(Decimal(0))), min_size=1, max_size=90)
Values = Sequence[Decimal | str | int | None]


def kinds(found: Sequence[Anomaly]) -> str:
    """Each with the number of its first and its last day."""
    return ", ".join(f"{each.kind} {(each.first - day(0)).days}-{(each.last - day(0)).days}" for each in found)


def times(days: int, factor: float | str, first: int, last: int | None = None, every: int = 1) -> list[Decimal]:
    """An office, with so many times the amount from one day to another."""
    return [
        amount * (Decimal(factor) if at in range(first, last or days, every) else 1)
        for at, amount in enumerate(office(days))
    ]


def put(days: int, first: int, *values: str | int) -> list[Decimal]:
    """An office, with these amounts from a day on."""
    found = office(days)
    found[first : first + len(values)] = map(Decimal, values)
    return found


STEPS = [value * (3 if 40 <= at < 70 else 1) for at, value in enumerate(office(110))]
DRIFT = [value * (1 + Decimal(min(max(at - 30, 0), 60)) / 60) for at, value in enumerate(office(120))]
NOW_AND_THEN: list[Decimal] = [Decimal(20 + at % 4) if at % 3 == 0 or at % 10 == 7 else Decimal(0) for at in range(120)]
SATURDAYS = [value * (3 if at % 7 == 5 and at % 4 == 1 else 1) for at, value in enumerate(office(140))]


def with_peak(values: Sequence[Decimal], peak: Decimal) -> list[Decimal]:
    return [*values[:90], peak, *values[91:]]


def values_of(text: str) -> Values:
    """What ``times`` or ``put`` makes of what follows it."""
    what, length, second, *others = text.split()
    return put(int(length), int(second), *others) if what == "put" else times(int(length), second, *map(int, others))


CASES: Mapping[str, tuple[Values, str]] = {
    **{
        name: (values_of(text), expected)
        for name, text, expected in cases("""
            ordinary weeks -> times 120 1 0 ->
            a busy Saturday, although it is less than a Monday -> put 70 40 95.00 -> spike 40-40
            a day like a weekend is a holiday -> put 90 43 27.00 ->
            and so are two -> put 90 43 27.00 27.00 ->
            a higher level that stays -> times 90 2.5 50 -> shift 50-89
            a lower one -> times 90 0.4 50 -> shift 50-89
            until it is known to stay -> times 56 3 50 -> shift 50-55
            a level of six days is a shift while it lasts -> times 66 4 60 -> shift 60-65
            and one of eight -> times 68 4 60 -> shift 60-67
            and one of twelve -> times 72 4 60 -> shift 60-71
            nothing is odd before three weeks are known -> times 20 20 19 ->
            three weeks are known -> times 40 20 19 20 -> spike 19-19
        """)
    },
    "and nine": (put(90, 43, *["27.00"] * 9), ""),
    "each of two shifts lasts until the next": (STEPS, "shift 40-69, shift 70-109"),
    "the first days of a shift are a spike": (times(56, 3, 50)[:52], "spike 50-51"),
    "a project that stops is a drop": ([*office(60), *[0] * 3], "drop 60-62"),
    "the pauses of a monthly job are no stops": ([20 + at % 3 if at % 28 == 0 else 0 for at in range(1000)], ""),
    "a slow drift": (DRIFT, ""),
    "a job that runs now and then": (NOW_AND_THEN, ""),
    "it is compared with its own runs": (with_peak(NOW_AND_THEN, Decimal(200)), "spike 90-90"),
    "a job that runs on some Saturdays": (SATURDAYS, ""),
    "a day of it": (with_peak(SATURDAYS, SATURDAYS[90] * 3), "spike 90-90"),
    "gaps": ([None if at in (33, 34, 47) else value for at, value in enumerate(office(70))], ""),
    "nothing": ([0] * 60, ""),
    "one amount": (["12.50"] * 60, ""),
}
"""Days from a Monday on, and what is odd in them."""


def test_odd_days_are_found_and_no_others() -> None:
    assert {case: kinds(find(series(values))) for case, (values, _) in CASES.items()} == {
        case: expected for case, (_, expected) in CASES.items()
    }


def test_a_spike_is_found_with_what_was_expected() -> None:
    values = times(70, 3, 45, 46)
    usual = office(70)[45]
    [spike] = find(series(values))
    assert (spike.kind, spike.first, spike.last, spike.is_provisional) == ("spike", day(45), day(45), False)
    assert spike.actual == round(values[45], 2)
    assert abs(spike.expected - usual) < Decimal("0.1") * usual
    assert spike.low < spike.expected < spike.high < spike.actual
    assert spike.size == spike.actual - spike.expected
    assert spike.score > 4.2


def test_days_in_a_row_are_one_with_averages() -> None:
    values = times(70, 4, 45, 47)
    [spike] = find(series(values))
    assert kinds([spike]) == "spike 45-46"
    assert spike.actual == round(sum(values[45:47]) / 2, 2)
    for factor in ("2.5", "0.4"):
        [shift] = find(series(times(90, factor, 50)))
        assert abs(shift.actual / shift.expected - Decimal(factor)) < 0.1


def test_what_stops_falls_to_nothing_and_what_starts_rises_from_it() -> None:
    [drop] = find(series(put(70, 44, 0)))
    assert (kinds([drop]), drop.actual) == ("drop 44-44", Decimal(0))
    assert drop.size < 0
    for days in (8, 30):
        [stop] = find(series([*office(60), *[0] * days]))
        assert (stop.kind, stop.first, stop.actual) == ("shift", day(60), Decimal(0))
    [start] = find(series([*[0] * 40, *office(40)]))
    assert (start.kind, start.first, start.expected) == ("shift", day(40), Decimal(0))


def test_a_day_that_still_grows_may_be_a_spike_but_no_drop() -> None:
    assert find(series([*office(70), "0.50"], provisional=1)) == []
    [spike] = find(series([*office(70), "400.00"], provisional=1))
    assert (kinds([spike]), spike.is_provisional) == ("spike 70-70", True)


@settings(max_examples=60)
@given(values=histories, provisional=st.integers(0, 3), factor=st.sampled_from([2**-10, 2**10]))
def test_neither_order_nor_unit_changes_what_is_odd(
    values: list[Decimal | None], provisional: int, factor: float
) -> None:
    stored = series([Decimal(1), *values], provisional=min(provisional, len(values)))
    shuffled = Series(dict(sorted(stored.values.items(), reverse=True)), stored.provisional_from)
    scaled = Series({at: value * Decimal(factor) for at, value in stored.values.items()}, stored.provisional_from)
    found = find(stored)
    assert found == find(stored) == find(shuffled)
    assert [(each.kind, each.first, each.last, each.score) for each in found] == [
        (each.kind, each.first, each.last, each.score) for each in find(scaled)
    ]
    for each in found:
        assert 0 <= each.low <= each.expected <= each.high
        assert each.kind != "drop" or not each.is_provisional
