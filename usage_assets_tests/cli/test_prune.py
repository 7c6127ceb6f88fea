"""`usage-assets prune`: what a person reads before and after."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import time_machine

from usage_assets_tests.automation.test_history import KEYS, run
from usage_assets_tests.conftest import Sandbox
from usage_assets_tests.terminal import Terminal


@pytest.fixture
def terminal(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Terminal:
    """A person whose home has two runs of 200 days ago, of which one is the newest of its days."""
    opened = Terminal.open(sandbox, tmp_path, monkeypatch, capfd)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        for hours in (1, 2):
            run(instance, datetime.now(UTC) - timedelta(days=200, hours=-hours), KEYS)
    capfd.readouterr()
    return opened


def runs() -> int:
    """How many runs the home has."""
    with dg.DagsterInstance.get() as instance:
        return instance.get_runs_count()


def test_a_dry_run_only_counts_what_a_real_one_removes(terminal: Terminal) -> None:
    said = terminal.type("prune", "--dry-run")
    assert not said.code
    assert said.lines[1].split()[:2] == ["runs", "1"]
    assert said.lines[-1] == "nothing was removed; to remove this: usage-assets prune"
    assert runs() == 2
    done = terminal.type("prune")
    assert not done.code
    assert done.lines == said.lines[:-1]
    assert runs() == 1
    assert {line.split()[-2] for line in terminal.type("prune").lines[1:]} == {"0"}


def test_an_age_that_is_too_small_is_refused(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USAGE_HISTORY_DAYS", "6")
    said = terminal.type("prune")
    assert said.code == 2
    assert "USAGE_HISTORY_DAYS" in said.complaints[0]
    assert runs() == 2


def test_it_counts_days_from_now(terminal: Terminal) -> None:
    with time_machine.travel(datetime.now(UTC) - timedelta(days=150), tick=False):
        assert terminal.type("prune").lines[1].split()[:2] == ["runs", "0"]
    assert runs() == 2
