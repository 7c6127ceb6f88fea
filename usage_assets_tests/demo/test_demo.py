"""The pieces of the demo: it never meets the user's keys or data, and it fails when a total or an entity differs.

The whole of it is run by `.ci/run`.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest
import time_machine
from dagster import QueuedRunCoordinator
from rich.console import Console

from demo.__main__ import (
    DemoError,
    Say,
    isolated,
    settings_for,
    wait_for,
    write_configuration,
    write_connections,
    write_invoice,
)
from demo.services import AssetPath, Progress
from demo.summary import (
    Books,
    Compared,
    Summary,
    compare_entities,
    compare_totals,
    stored_rows,
)
from usage_assets.automation.jobs import CONNECTION_TAG
from usage_assets.core.days import DAY, Window
from usage_assets.local.home import CONFIGURATION
from usage_assets.warehouse.database import Warehouse
from usage_assets_tests.end_to_end.conftest import Project, open_project
from usage_assets_tests.fixtures import NOW, Sandbox, last_days, running_sandbox
from usage_assets_tests.port_user import port_of
from usage_assets_tests.terminal import ROOT

DAYS = last_days(2)
WINDOW = Window(DAYS[0], DAYS[-1])
WINDOWS = {"chatgpt": WINDOW}
POISON = (
    "OPENAI_ADMIN_KEY=sk-admin-of-the-user\nUSAGE_WAREHOUSE=/data/of/the/user.duckdb\nUSAGE_CONNECTIONS=users.toml\n"
)


# Isolation


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a user with keys in the environment, in `.env`, and a demo home below."""
    for line in POISON.split():
        name, _, value = line.partition("=")
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    (tmp_path / ".env").write_text(POISON)
    (tmp_path / ".demo").mkdir()
    shutil.copy(ROOT / "dagster.yaml", tmp_path / ".demo")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked_in(folder: Path, command: list[str], environment: Mapping[str, str]) -> str:
    """What a command prints there."""
    done = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, check=True)
    return done.stdout + done.stderr


def test_the_demo_never_reads_the_users_keys_or_database(user: Path) -> None:
    code = (
        "from usage_assets.config.settings import Settings; s = Settings.load(); "
        "print(s.warehouse.file, s.usage_connections, *(c.key.get_secret_value() for c in s.connections() if c.key))"
    )
    command = [sys.executable, "-c", code]
    home = user / ".demo"
    write_connections(home)
    environment = isolated(os.environ) | settings_for("http://127.0.0.1:1", home)
    assert asked_in(home, command, environment) == (
        f"{home}/usage.duckdb {home}/connections.toml "
        "sk-ant-admin-sandbox chatgpt-sandbox-key sk-admin-sandbox sess-sandbox sk-litellm-sandbox "
        "sk-ant-analytics-sandbox sk-or-sandbox-management github-copilot-sandbox-token key_cursor-sandbox\n"
    )
    assert "HTTP_PROXY" not in environment


def test_an_invoice_is_that_of_a_month_whose_days_are_all_fetched(tmp_path: Path, sandbox: Sandbox) -> None:
    october = Window(date(2026, 10, 1), date(2026, 10, 31))
    write_invoice(tmp_path, sandbox.base_url, october.first + DAY)
    assert not [*tmp_path.iterdir()]
    write_invoice(tmp_path, sandbox.base_url, october.first)
    [invoice] = tomllib.loads((tmp_path / "connections.toml").read_text(), parse_float=Decimal)["invoice"]
    billed = sum(Books(sandbox.base_url).truth("openai", october)["usd"].values())
    assert invoice == {"connection": "openai", "month": "2026-10", "total": round(billed, 2), "id": "INV-202610"}


def test_the_demo_runs_lookups_before_days_and_starts_runs_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_configuration(tmp_path)
    ours, demos = (path.read_text().splitlines() for path in (CONFIGURATION, tmp_path / CONFIGURATION.name))
    left_out = [line for line in ours if line not in demos]
    assert left_out == ["concurrency:", "  runs:"], "all else is as it is for users"
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        queue = instance.get_concurrency_config().run_queue_config
        assert queue
        assert queue.max_concurrent_runs == 4
        assert queue.tag_concurrency_limits == [
            {"key": CONNECTION_TAG, "value": {"applyLimitPerUniqueValue": True}, "limit": 1}
        ]
        assert isinstance(instance.run_coordinator, QueuedRunCoordinator)
        assert instance.run_coordinator.dequeue_interval_seconds == 1


# Starting


# Waiting


State = tuple[Progress, Mapping[AssetPath, int]]


@dataclass
class FakeDagster:
    """A Dagster that is as far as it is told; the real one is part of the whole demo."""

    states: list[State]
    why: list[str] = field(default_factory=list)

    def require_running(self) -> None:
        """It runs."""

    def progress(self) -> Progress:
        """What runs in this state."""
        return self.states[0][0]

    def stored_days(self) -> Mapping[AssetPath, int]:
        """What is stored in this state. The next one follows; the last one stays."""
        return (self.states.pop(0) if len(self.states) > 1 else self.states[0])[1]

    def reasons(self, run: str) -> list[str]:
        """Why the run failed."""
        return [f"{run}: {why}" for why in self.why]


COSTS, PUSH = ("openai", "costs"), ("openai", "port_sync")
DONE = Progress(unfinished_runs=0, failed_runs=[], backfills={"openai": "REQUESTED"})


def wait(*states: State, why: str = "") -> str:
    """Wait for three days of an asset and of its push; returns what was said."""
    dagster: Any = FakeDagster(list(states), [why] if why else [])
    said = StringIO()
    wait_for({COSTS: 3, PUSH: 3}, dagster, dagster, Say(Console(file=said)))
    return said.getvalue()


def test_a_backfill_that_failed_ends_the_wait_with_the_reason() -> None:
    failed = Progress(0, ["run-1"], {"openai": "COMPLETED_FAILED"})
    with pytest.raises(DemoError, match=r"without all its days: openai \(COMPLETED_FAILED\); run-1: 401"):
        wait((failed, {COSTS: 0, PUSH: 0}), why="401")


def test_a_push_that_never_comes_ends_the_wait_with_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo.__main__.LONGEST_SECONDS", -100)
    with pytest.raises(DemoError, match=r"still missing after -88 s: openai/port_sync \(3 days\)"):
        wait((DONE, {COSTS: 3, PUSH: 0}))


# Comparing


@pytest.fixture(scope="module")
def stored_and_pushed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Two days of Codex, at a sandbox of their own, which no test changes. `.ci/run` has all of all connections."""
    folder = tmp_path_factory.mktemp("filled")
    with (
        running_sandbox() as url,
        httpx.Client(base_url=url, timeout=30) as switches,
        open_project(Sandbox(url, switches), folder, {}) as project,
    ):
        project.sandbox.control("POST", "clock", {"now": NOW.isoformat()})
        with time_machine.travel(NOW):
            assert project.fetch("chatgpt", DAYS).success
            assert project.push_of("chatgpt", DAYS).success
        yield project


@pytest.fixture
def filled(stored_and_pushed: Project, tmp_path: Path) -> Project:
    """The same, in a database that the test may change."""
    database = shutil.copy(stored_and_pushed.warehouse.database, tmp_path)
    return replace(stored_and_pushed, warehouse=Warehouse(database=str(database)))


def summarized(project: Project, books_at: Sandbox | None = None) -> Summary:
    """The summary of what is stored and pushed."""
    books = Books((books_at or project.sandbox).base_url)
    with port_of(project.sandbox) as port:
        return Summary(
            compare_totals(project.warehouse, books, WINDOWS),
            compare_entities(project.warehouse, port, WINDOWS),
            stored_rows(project.warehouse),
            books.requests(),
        )


def test_a_single_different_day_is_not_equal_also_where_the_total_is(filled: Project) -> None:
    first, second = DAYS
    with filled.warehouse.transaction() as database:
        for table in ("chatgpt.codex_usage", "costs.daily_costs"):
            database.execute(
                f"update {table} set usage_date = case usage_date when $first then $second else $first end "
                "where usage_date in ($first, $second)",
                {"first": first, "second": second},
            )
    different = [total for total in summarized(filled).totals if total.different_days]
    assert {total.source for total in different} >= {"chatgpt.codex_usage", "costs.daily_costs"}
    assert different[0].ours == different[0].truth
    assert different[0].verdict == f"NOT EQUAL on 2 days from {first}"


def test_books_that_changed_since_are_not_equal(filled: Project, sandbox: Sandbox) -> None:
    assert summarized(filled, sandbox).is_equal, "every sandbox has the same books"
    sandbox.restate("chatgpt", DAYS[1])
    summary = summarized(filled, sandbox)
    different = {(total.unit, total.source) for total in summary.totals if total.different_days == (DAYS[1],)}
    assert ("credits", "costs.daily_costs") in different
    assert not summary.is_equal
    assert not Summary([], [], {}, {}).is_equal, "nothing is not equal, either"
    gold = Compared("openai", "gold", "no table", Decimal(0), Decimal(3), (DAYS[0],))
    assert not Summary([gold], [], {}, {}).is_equal, "nor is a unit that no table has"


def test_entities_that_differ_from_ports_are_not_equal(filled: Project) -> None:
    with filled.warehouse.transaction() as database:
        first, second, third, *_ = database.execute(
            "select identifier from port_entities.codex_usage_record"
        ).fetchall()
        for change, identifier in (
            ("update port_entities.codex_usage_record set turns = turns + 1", first),
            ("update port_entities.codex_usage_record set identifier = identifier || '-moved'", second),
            ("delete from port_entities.codex_usage_record", third),
        ):
            database.execute(f"{change} where identifier = ?", identifier)
    summary = summarized(filled)
    assert {each.blueprint: each.verdict for each in summary.blueprints if each.verdict != "equal"} == {
        "codex_usage_record": "NOT EQUAL: 1 missing, 1 different, 2 of no row"
    }
    assert not summary.is_equal
