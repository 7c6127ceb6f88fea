"""What is seen of a backfill while it takes long: a line every few seconds in the log of a run, and the first rows."""

import re
from contextlib import suppress

import dagster as dg
import duckdb
import pytest

from usage_assets.cli.progress import AssetProgress, Display
from usage_assets.core import ticking
from usage_assets.warehouse.published import copy_of
from usage_assets_tests.core.clocks import LongUntilTheEnd
from usage_assets_tests.end_to_end.conftest import with_endpoints
from usage_assets_tests.fixtures import last_days, set_all
from usage_assets_tests.terminal import Terminal

DAYS = last_days(2)
FIRST, LAST = str(DAYS[0]), str(DAYS[-1])


@pytest.fixture
def terminal(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """The same, for whom everything takes long."""
    monkeypatch.setattr(ticking, "Event", LongUntilTheEnd)
    set_all(monkeypatch, with_endpoints(terminal.folder, "costs"))
    return terminal


def lines_of(job: str) -> list[str]:
    """What our own code has logged in the last run of a job."""
    with dg.DagsterInstance.get() as instance:
        run = next(run for run in instance.get_runs() if run.job_name == job)
        return [entry.user_message for entry in instance.all_logs(run.run_id) if not entry.is_dagster_event]


@pytest.fixture
def readable(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Asset -> how many rows of costs whoever queries could read when its step began."""
    readable, show = dict[str, int](), Display.show

    def look(display: Display, step: AssetProgress) -> None:
        """Look, as somebody does who waits for the first rows."""
        show(display, step)
        readable.setdefault(step.asset, 0)
        if not step.done and not step.days:
            with suppress(duckdb.Error), duckdb.connect(copy_of(terminal.warehouse.database), read_only=True) as copy:
                readable[step.asset] = len(copy.execute("from openai.costs").fetchall())

    monkeypatch.setattr(Display, "show", look)
    return readable


def test_a_run_says_how_far_a_long_fetch_a_long_write_and_a_long_push_are(
    terminal: Terminal, readable: dict[str, int]
) -> None:
    days = ("--start", FIRST, "--end", LAST, "--connection", "openai")
    said = terminal.type("backfill", *days, "--push")
    assert said.code == 0
    copy = copy_of(terminal.warehouse.database)
    assert said.err.count(f"  rows that are stored so far can be queried, costs later: {copy}\n") == 1
    rows = terminal.rows("openai")
    assert (readable["openai/costs"], readable["openai/costs/daily_costs"]) == (0, rows), "at once, not at the end"

    lines = lines_of("usage")
    assert f"openai costs: 2 of 2 days are fetched, requests 1, rows {rows:,}" in lines
    for table in ("openai.costs", "costs.daily_costs"):
        (line,) = (line for line in lines if line.startswith(f"{table} of openai {FIRST} to {LAST}"))
        assert line.endswith(": committing")
    said_of = [line.partition(":")[0].partition(" of ")[0] for line in lines]
    assert max(map(said_of.count, said_of)) <= 2, "never one a day"

    assert any(line.startswith("openai users: requests 1, listed ") for line in lines_of("lookups"))
    pushed = lines_of("port_sync")
    assert any(re.fullmatch(r"Port: ([\d,]+) of \1 entities are sent", line) for line in pushed)
    assert "Port: comparing the stored entities with what was sent" in pushed
