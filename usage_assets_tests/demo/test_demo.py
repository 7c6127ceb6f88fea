"""The pieces of the demo: it never meets the user's keys or data, and it fails when a total or an entity differs.

The whole of it is run by `.ci/run`.
"""

import os
import shutil
import subprocess
import sys
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
    ASKED,
    DemoError,
    Say,
    isolated,
    settings_for,
    wait_for,
    windows_of,
    write_configuration,
    write_connections,
)
from demo.summary import (
    Books,
    Compared,
    Summary,
    compare_entities,
    compare_totals,
    money_by_month,
    show,
    stored_rows,
)
from usage_assets.automation.jobs import CONNECTION_TAG
from usage_assets.cli.dagster_dev import AssetPath, Progress
from usage_assets.core.days import Window
from usage_assets.features.port.catalog.client import PortClient
from usage_assets.local.home import CONFIGURATION
from usage_assets.warehouse.database import Warehouse
from usage_assets_tests.conftest import NOW, Sandbox, last_days, running_sandbox
from usage_assets_tests.end_to_end.conftest import CONNECTIONS, Project, open_project, with_everything
from usage_assets_tests.terminal import ROOT

pytestmark = pytest.mark.slow

DAYS = last_days(2)
WINDOW = Window(DAYS[0], DAYS[-1])
WINDOWS = dict.fromkeys(CONNECTIONS, WINDOW)
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


def test_dagster_finds_no_env_file_where_the_demo_starts_it(user: Path) -> None:
    code = (
        "import os; from dagster._cli.utils import get_possibly_temporary_instance_for_cli as opened_by_dagster_dev\n"
        "with opened_by_dagster_dev(): print(os.environ.get('OPENAI_ADMIN_KEY'))\n"
        "os.chdir('..')\n"
        "with opened_by_dagster_dev(): print(os.environ.get('OPENAI_ADMIN_KEY'))"
    )
    command = [sys.executable, "-c", code]
    home = user / ".demo"
    environment = isolated(os.environ) | {"DAGSTER_HOME": str(home)}
    in_home, in_users_folder = asked_in(home, command, environment).splitlines()
    assert in_home == "None"
    assert in_users_folder == "sk-admin-of-the-user", "Dagster reads it where it lies"


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


def test_days_are_clamped_to_what_each_provider_serves() -> None:
    yesterday = date(2026, 11, 19)
    shorter = {
        "chatgpt": Window(date(2026, 8, 22), yesterday),
        "openrouter": Window(date(2026, 10, 21), yesterday),
        "anthropic_analytics": Window(date(2026, 1, 1), date(2026, 11, 17)),
    }
    year = Window(date(2025, 11, 20), yesterday)
    assert windows_of(ASKED, 365, date(2026, 11, 20)) == dict.fromkeys(ASKED, year) | shorter
    assert windows_of(ASKED, 2, date(2026, 11, 20)).keys() == ASKED.keys() - {"anthropic_analytics"}


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


def test_it_waits_until_every_day_is_stored_and_pushed() -> None:
    said = wait((replace(DONE, unfinished_runs=1), {COSTS: 3, PUSH: 1}), (DONE, {COSTS: 3, PUSH: 3}))
    assert "stored 3 of 3 asset days, pushed 1 of 3 days; runs to go: 1" in said


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
    """Two days of four connections, at a sandbox of their own, which no test changes. `.ci/run` has all of them."""
    folder = tmp_path_factory.mktemp("filled")
    with (
        running_sandbox() as url,
        httpx.Client(base_url=url, timeout=30) as switches,
        open_project(Sandbox(url, switches), folder, with_everything(folder)) as project,
    ):
        project.sandbox.control("POST", "clock", {"now": NOW.isoformat()})
        with time_machine.travel(NOW):
            project.fetch_all(DAYS)
            project.push(DAYS)
        yield project


@pytest.fixture
def filled(stored_and_pushed: Project, tmp_path: Path) -> Project:
    """The same, in a database that the test may change."""
    database = shutil.copy(stored_and_pushed.warehouse.database, tmp_path)
    return replace(stored_and_pushed, warehouse=Warehouse(database=str(database)))


def summarized(project: Project, books_at: Sandbox | None = None) -> Summary:
    """The summary of what is stored and pushed."""
    books = Books((books_at or project.sandbox).base_url)
    with PortClient(f"{project.sandbox.base_url}/port", "sandbox-client-id", "sandbox-client-secret") as port:
        return Summary(
            compare_totals(project.warehouse, books, WINDOWS),
            compare_entities(project.warehouse, port, WINDOWS),
            stored_rows(project.warehouse),
            books.requests(),
        )


def test_the_last_lines_say_what_each_provider_billed_and_never_add_credits_to_dollars(filled: Project) -> None:
    lines = dict(line.split(": ") for line in money_by_month(filled.warehouse))
    assert {"anthropic, billed USD", "chatgpt, credits", "openai, billed USD"} <= lines.keys()
    (costs,) = filled.warehouse.read("select sum(amount_value) as usd from openai.costs").to_pylist()
    assert lines["openai, billed USD"] == f"{DAYS[0]:%Y-%m} {costs['usd']:,.2f}"
    truth = filled.sandbox.truth(DAYS[0], DAYS[-1])
    assert lines["chatgpt, credits"] == f"{DAYS[0]:%Y-%m} {truth['chatgpt']['credits']:,.2f}"


def test_what_was_fetched_and_pushed_is_equal_and_every_unit_is_compared(filled: Project) -> None:
    summary = summarized(filled)
    truth = filled.sandbox.truth(DAYS[0], DAYS[-1])
    assert summary.is_equal
    assert {(total.provider, total.unit): total.truth for total in summary.totals} == {
        (provider, unit): amount for provider in WINDOWS for unit, amount in truth[provider].items()
    }
    money = {("openai", "usd"), ("anthropic", "cents"), ("chatgpt", "credits")}
    assert money <= {(total.provider, total.unit) for total in summary.totals if total.source == "costs.daily_costs"}
    assert summary.requests["GET /openai/v1/organization/costs"] == 2, "the costs and their control totals"
    said = StringIO()
    show(summary, {"in all": 1.0}, Console(file=said, width=120))
    assert "NOT EQUAL" not in said.getvalue()
    assert "port_entities.claude_code_analytics" in said.getvalue()


def test_a_single_different_day_is_not_equal_also_where_the_total_is(filled: Project) -> None:
    first, second = DAYS
    with filled.warehouse.transaction() as database:
        for table in ("openai.costs", "costs.daily_costs"):
            database.execute(
                f"update {table} set usage_date = case usage_date when $first then $second else $first end "
                "where usage_date in ($first, $second)",
                {"first": first, "second": second},
            )
    different = [total for total in summarized(filled).totals if total.different_days]
    assert {total.unit for total in different if total.source == "openai.costs"} == {"usd"}
    assert different[0].ours == different[0].truth
    assert different[0].verdict == f"NOT EQUAL on 2 days from {first}"


def test_books_that_changed_since_are_not_equal(filled: Project, sandbox: Sandbox) -> None:
    assert summarized(filled, sandbox).is_equal, "every sandbox has the same books"
    sandbox.control("POST", "restate", {"provider": "chatgpt", "days": [str(DAYS[1])], "change": "scale"})
    summary = summarized(filled, sandbox)
    different = {(total.unit, total.source) for total in summary.totals if total.different_days == (DAYS[1],)}
    assert ("credits", "costs.daily_costs") in different
    assert not summary.is_equal
    assert not Summary([], [], {}, {}).is_equal, "nothing is not equal, either"
    gold = Compared("openai", "gold", "no table", Decimal(0), Decimal(3), (DAYS[0],))
    assert not Summary([gold], [], {}, {}).is_equal, "nor is a unit that no table has"


def test_entities_that_differ_from_ports_are_not_equal(filled: Project) -> None:
    with filled.warehouse.transaction() as database:
        database.execute("update port_entities.openai_daily_usage set total_requests = total_requests + 1")
        database.execute("update port_entities.claude_usage_record set identifier = identifier || '-moved'")
        database.execute("delete from port_entities.claude_cost_record")
    summary = summarized(filled)
    assert {each.blueprint: each.verdict for each in summary.blueprints if each.verdict != "equal"} == {
        "openai_daily_usage": "NOT EQUAL: 0 missing, 2 different, 0 of no row",
        "claude_usage_record": "NOT EQUAL: 2 missing, 0 different, 2 of no row",
        "claude_cost_record": "NOT EQUAL: 0 missing, 0 different, 2 of no row",
    }
    assert not summary.is_equal
