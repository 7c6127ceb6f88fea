"""The benchmarks run, at a tiny size: what they compare is complete and exact. How fast it is, no test asserts."""

from decimal import Decimal
from math import inf
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner

from benchmarks import __main__, costs, due, events, memory, parsing, port, sensor, windows
from benchmarks.figures import Figure
from usage_assets_tests.conftest import Sandbox


def figure(ours: float, theirs: float) -> Figure:
    """A figure of which a ratio of 2 is demanded."""
    return Figure(name="a year", ours=ours, theirs=theirs, unit="s", demanded=2)


def test_a_figure_says_whether_it_does_what_is_demanded() -> None:
    assert "2.00x  ok, demanded 2x" in str(figure(1.5, 3))
    assert "1.99x  MISSED, demanded 2x" in str(figure(1.5, 2.99))


@pytest.mark.parametrize(("ours", "holds"), [(0, True), (1, False)])
def test_where_nothing_is_demanded_only_nothing_will_do(ours: float, holds: bool) -> None:
    found = Figure(name="a push", ours=ours, theirs=256, unit="req", demanded=inf)
    assert found.holds is holds


@pytest.mark.parametrize(("names", "lines", "code"), [([], 3, 1), (["good"], 2, 0), (["bad", "good"], 3, 1)])
def test_all_benchmarks_run_or_those_named_and_one_that_misses_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, names: list[str], lines: int, code: int
) -> None:
    monkeypatch.setattr(__main__, "BENCHMARKS", {"good": lambda _: [figure(1, 2)], "bad": lambda _: [figure(1, 1)]})
    monkeypatch.setattr(__main__.main.params[0].type, "choices", ("good", "bad"))
    result = CliRunner().invoke(__main__.main, names)
    assert (len(result.output.splitlines()), result.exit_code) == (lines, code)


def test_windows_of_all_connections_are_fetched_on_both_sides(sandbox: Sandbox) -> None:
    found = windows.figure(sandbox.base_url, days=1, latency=0.001)
    asked = [(request["path"], str(request["query"])) for request in sandbox.requests()]
    requests = len(asked) // 3  # to warm up, side by side, in turn
    assert found.name.startswith(f"{requests} requests of 1 days")
    assert sorted(asked[requests : 2 * requests]) == sorted(asked[2 * requests :])
    assert {path.split("/")[1] for path, _ in asked} == set(windows.CONNECTIONS)


def test_parsing_compares_equal_rows_and_only_ours_are_exact() -> None:
    costs, completions = parsing.figures(1, rows=20, rounds=1)
    assert costs.name.startswith("costs: 620 rows")
    assert "whose sum is off by" in costs.note
    assert completions.name.startswith("usage_completions: 620 rows")


def test_parsing_notices_an_amount_that_is_not_as_it_is_spelled() -> None:
    body = b'{"value": 0.1} {"value": 0.2}'
    frame = pd.DataFrame({"amount_value": [0.1, 0.2]})
    exact, wrong = (
        pa.table({"amount_value": [Decimal("0.1"), Decimal(other)]}) for other in ("0.2", "0.20000000000000001")
    )
    assert parsing.exactness(body, exact, frame) == ", whose sum is off by 4.4e-17"
    with pytest.raises(RuntimeError, match=r"our amounts add up to 0.30000000000000001, those of the body to 0.3"):
        parsing.exactness(body, wrong, frame)


@pytest.mark.slow
def test_memory_is_that_of_a_run_that_stored_every_row() -> None:
    (found,) = memory.figures(2, rows=30)
    assert found.name == "2 days of 30 rows"
    assert 50 < found.ours < found.theirs


def test_costs_are_built_of_every_billed_row() -> None:
    built, asked = costs.figures(2, rows=30, asked_rows=90)  # raises where they are not
    assert built.name == "daily_costs: 2 days of 30 rows"
    assert asked.name == "month to date among 90 rows"


def test_port_ends_up_with_the_tables_and_its_requests_are_those_that_are_counted(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    found = port.figures_of(sandbox.base_url, tmp_path / "usage.duckdb", days=2, latency=0.001, recorded=100)
    wall, first, again, restated = found
    assert wall.name == "100 entities, 1 ms a request"
    assert (first.holds, again.ours, restated.ours) == (True, 0, 8)
    compared = 1 + len(port.BLUEPRINTS["openai"]) + len(port.BLUEPRINTS["anthropic"])
    assert first.ours + restated.ours == len(sandbox.requests()) - compared


def test_both_event_logs_store_the_same_events() -> None:
    (found,) = events.figures(3)  # raises where they do not
    assert found.name.endswith(" events of 3 days")


def test_an_idle_tick_and_the_look_ups_see_the_same_events() -> None:
    allowed, looked_up = sensor.figures(3, events=120, rounds=1)
    assert allowed.name == looked_up.name == "idle tick over 120 events"
    assert "of each of 36 partitions" in looked_up.note
    assert 0 < looked_up.ours < looked_up.theirs


@pytest.mark.slow
def test_what_is_due_is_asked_where_only_the_last_days_are_not_settled() -> None:
    idle, asked = due.figures(3, rounds=1)  # raises where more is due, or the idle sensor asks for a run
    assert int(asked.name.split()[4]) % (1 + 2 + 3) == 0, "each day is read again on those after it"
    assert idle.ours > 0
