"""What the log of a run shows while a fetch, a write or a push takes long: a line every few seconds."""

import re
from pathlib import Path

import dagster as dg
import pytest

from usage_assets.core import ticking
from usage_assets_tests.core.clocks import LongUntilTheEnd
from usage_assets_tests.end_to_end.conftest import with_endpoints
from usage_assets_tests.fixtures import Sandbox, last_days
from usage_assets_tests.terminal import Terminal

DAYS = last_days(2)
FIRST, LAST = str(DAYS[0]), str(DAYS[-1])


@pytest.fixture
def terminal(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Terminal:
    """A person whose accounts are at the sandbox, and for whom everything takes long."""
    monkeypatch.setattr(ticking, "Event", LongUntilTheEnd)
    terminal = Terminal.open(sandbox, tmp_path, monkeypatch, capfd)
    for name, value in with_endpoints(terminal.folder, "costs").items():
        monkeypatch.setenv(name, value)
    return terminal


def lines_of(job: str) -> list[str]:
    """What our own code has logged in the last run of a job."""
    with dg.DagsterInstance.get() as instance:
        run = next(run for run in instance.get_runs() if run.job_name == job)
        return [entry.user_message for entry in instance.all_logs(run.run_id) if not entry.is_dagster_event]


def test_a_run_says_how_far_a_long_fetch_a_long_write_and_a_long_push_are(terminal: Terminal) -> None:
    days = ("--start", FIRST, "--end", LAST, "--connection", "openai")
    assert terminal.type("backfill", *days, "--push").code == 0
    rows = terminal.rows("openai")

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
