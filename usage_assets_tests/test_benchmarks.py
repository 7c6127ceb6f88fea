"""How benchmarks judge what they have measured. `make bench`, a part of `make nightly`, runs them."""

from decimal import Decimal
from math import inf
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from benchmarks import (
    calibrate,
    months,
    parsing,
)
from benchmarks.daemons import Lived
from benchmarks.figures import Figure


def figure(ours: float, theirs: float) -> Figure:
    """A figure of which a ratio of 2 is demanded."""
    return Figure(name="a year", ours=ours, theirs=theirs, unit="s", demanded=2)


def test_a_figure_says_whether_it_does_what_is_demanded() -> None:
    assert "2.00x  ok, demanded 2x" in str(figure(1.5, 3))
    assert "1.99x  MISSED, demanded 2x" in str(figure(1.5, 2.99))


def test_the_median_of_the_rounds_is_judged_and_their_spread_is_said() -> None:
    found = Figure.of_rounds([(1, 3), (2, 2), (1, 2.5)], scale=1000, name="a page", unit="ms", demanded=2.5)
    assert (found.ours, found.theirs) == (1000, 2500)
    assert "2.50x (1.00-3.00)  ok, demanded 2.5x" in str(found)


def test_a_time_that_is_allowed_is_longer_on_a_slower_machine_and_nothing_else_is() -> None:
    allowed = Figure.of_rounds([(3, 2), (3, 2)], name="a year", unit="s", demanded=1, is_at_factor_1=True)
    assert [allowed.at(factor).holds for factor in (1, 1.4, 1.5)] == [False, False, True]
    assert str(allowed.at(2)) == str(Figure.of_rounds([(3, 4), (3, 4)], name="a year", unit="s", demanded=1))
    assert figure(1, 2).at(0.5) == figure(1, 2)


def test_where_nothing_is_demanded_no_verdict_is_given() -> None:
    measured = Figure(name="a year", ours=3, unit="s", note="CPU time")
    assert measured.holds
    assert str(measured).split() == ["a", "year", "3.00", "s", "(CPU", "time)"]
    pushes = [Figure(name="a push", ours=ours, theirs=256, unit="req", demanded=inf) for ours in (0, 1)]
    assert [found.holds for found in pushes] == [True, False], "of nothing at all"


def test_the_reference_of_the_calibration_is_in_the_docs() -> None:
    text = (Path(__file__).parent.parent / "docs" / "benchmarks.md").read_text()
    for part, seconds in calibrate.REFERENCE.items():
        assert f"| {part} | {seconds:.3f} s |" in text


def test_parsing_notices_an_amount_that_is_not_as_it_is_spelled() -> None:
    body = b'{"value": 0.1} {"value": 0.2}'
    frame = pd.DataFrame({"amount_value": [0.1, 0.2]})
    exact, wrong = (
        pa.table({"amount_value": [Decimal("0.1"), Decimal(other)]}) for other in ("0.2", "0.20000000000000001")
    )
    assert parsing.exactness(body, exact, frame) == ", whose sum is off by 4.4e-17"
    with pytest.raises(RuntimeError, match=r"our amounts add up to 0.30000000000000001, those of the body to 0.3"):
        parsing.exactness(body, wrong, frame)


def month(history: int, cpu: float, tick: float = 0.01) -> months.Month:
    """A month of equal days on a machine of factor 2."""
    nothing = dict.fromkeys(("database", "published", "archive", "logs", "runs", "schedules", "storage", "other"), 0)
    lived = Lived(cpu, cpu, dict.fromkeys(months.TICKS, tick), dict.fromkeys(months.TICKS, 10), {"usage": 3}, [])
    return months.Month([lived] * months.MONTH, [months.Standing(**nothing, index=history, tick=0, files=1)] * 30, [2])


def test_what_the_last_month_takes_is_judged_by_the_second() -> None:
    flat = [month(50_000_000, 9), month(100_000_000, 9), month(105_000_000, 10)]
    assert [figure.name for figure in months.demanded(flat) if not figure.holds] == []
    steep = [*flat, month(160_000_000, 12, 0.02)]
    missed = [figure.name for figure in months.demanded(steep) if not figure.holds]
    assert [name.split(" in the")[0].split(" of ")[0] for name in missed] == [
        "history",
        "CPU",
        *["idle tick"] * len(months.TICKS),
        "load",
        "history that a year adds",
    ]
    assert list(months.demanded(flat[:2])) == []
