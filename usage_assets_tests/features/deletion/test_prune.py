"""`usage-assets prune`: what a person reads before and after."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest
import time_machine

from usage_assets.assets.partitions import daily_partitions
from usage_assets.config.settings import Settings
from usage_assets.core.days import DAY
from usage_assets.fetching.archive.files import copies_in
from usage_assets.fetching.connected import earliest_day
from usage_assets.models.connection_graph import seeds_of
from usage_assets.models.due import due_days
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.published import copy_of
from usage_assets_tests.end_to_end.conftest import with_endpoints
from usage_assets_tests.features.deletion.test_history import KEYS, run
from usage_assets_tests.fixtures import NewWarehouse, Sandbox, set_all
from usage_assets_tests.port_user import port_of
from usage_assets_tests.terminal import Terminal


@pytest.fixture
def terminal(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Terminal:
    """A person whose home has two runs of 200 days ago, of which one is the newest of its days."""
    opened = Terminal.open(sandbox, tmp_path, monkeypatch, capfd)
    with dg.DagsterInstance.get() as instance:
        for hours in (1, 2):
            run(instance, datetime.now(UTC) - timedelta(days=200, hours=-hours), KEYS)
    capfd.readouterr()
    return opened


KINDS = ("runs", "events", "check results", "ticks", "files", "long logs", "rows", "in Port", "archived")


def runs() -> int:
    """How many runs the home has."""
    with dg.DagsterInstance.get() as instance:
        return instance.get_runs_count()


def test_an_age_that_is_too_small_is_refused_and_a_dry_run_only_counts_what_a_real_one_removes(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("USAGE_HISTORY_DAYS", "6")
        refused = terminal.type("prune")
    assert refused.code == 2
    assert "USAGE_HISTORY_DAYS" in refused.complaints[0]
    with time_machine.travel(datetime.now(UTC) - timedelta(days=150), tick=False):
        assert terminal.type("prune").lines[1].split()[:2] == ["runs", "0"], "it counts days from now"
    said = terminal.type("prune", "--dry-run")
    assert not said.code
    assert said.lines[1].split()[:2] == ["runs", "1"]
    assert [line[:14].rstrip() for line in said.lines[1:-1]] == [*KINDS, "in total"]
    assert said.lines[-1] == "nothing was removed; to remove this: usage-assets prune"
    assert runs() == 2
    done = terminal.type("prune")
    assert not done.code
    assert done.lines == said.lines[:-1]
    assert runs() == 1
    assert {line.split()[-2] for line in terminal.type("prune").lines[1:]} == {"0"}


OLD, KEPT = [date(2026, 7, 30), date(2026, 7, 31)], [date(2026, 8, 1), date(2026, 8, 2)]
TOTALS = """
select table_name, slice, usage_date, content_hash, day_totals from ledger.stored_days where usage_date >= '2026-08-01'
union all
select 'billed', '', usage_date, sum(amount_usd)::varchar, '' from costs.daily_costs
where cost_basis = 'billed' and usage_date >= '2026-08-01' group by all
order by all
"""


@pytest.fixture
def old_terminal(
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    warehouse_with_views: NewWarehouse,
) -> Terminal:
    """A person who has stored and pushed days on both sides of the first that three months keep."""
    opened = Terminal.open(sandbox, tmp_path, monkeypatch, capfd)
    warehouse_with_views(opened.folder)
    set_all(monkeypatch, with_endpoints(opened.folder, "costs", "usage_completions"))
    monkeypatch.setenv("USAGE_START_DATE", str(OLD[0]))
    for days in (OLD, KEPT):
        typed = ("--start", str(days[0]), "--end", str(days[-1]), "--connection", "openai")
        assert opened.type("backfill", *typed, "--push").code == 0
    return opened


def stored(terminal: Terminal) -> dict[str, set[date]]:
    """Which days each table with days has rows of."""
    with terminal.warehouse.one_moment() as now:
        tables = now.read(
            "select table_schema || '.' || table_name from information_schema.columns "
            "where column_name = 'usage_date' and table_schema || '.' || table_name in "
            "(select schema_name || '.' || table_name from duckdb_tables())"
        )[0].to_pylist()
        return {name: {*now.read(f"select distinct usage_date from {name}")[0].to_pylist()} for name in tables}


def in_port(terminal: Terminal) -> set[str]:
    """The days of the entities that Port has."""
    with port_of(terminal.sandbox) as port:
        return {str(entity["properties"]["date"])[:10] for entity in port.search("openai_model_usage")}


def test_days_that_are_not_kept_leave_no_trace_and_what_stays_adds_up(old_terminal: Terminal) -> None:
    """Not while Port cannot be reached. Months later, the days that were kept go, too."""
    old_terminal.set(USAGE_RETENTION_MONTHS="3")
    # Rows stay while Port cannot be reached.
    before = stored(old_terminal)
    old_terminal.sandbox.refuse("POST /port/v1/auth/access_token", 403)
    said = old_terminal.type("prune")
    assert said.code == 2
    assert "Port" in said.err
    left = stored(old_terminal)
    assert {*KEPT} <= left["ledger.pushed_days"] < before["ledger.pushed_days"], "what Port has of old days is in doubt"
    assert {**left, "ledger.pushed_days": ()} == {**before, "ledger.pushed_days": ()}
    old_terminal.sandbox.mend()
    # Old days go and the others stay.
    before, totals = stored(old_terminal), old_terminal.warehouse.read(TOTALS).to_pylist()
    assert before["ledger.partition_versions"] == {*OLD, *KEPT}
    pushed = in_port(old_terminal)
    assert min(pushed) == str(OLD[0])
    archived = sorted(file.name for file in copies_in(old_terminal.folder / "raw"))
    said = old_terminal.type("prune", "--dry-run")
    assert stored(old_terminal) == before
    counts = {line[:14].rstrip(): line.split()[-2] for line in said.lines[1:-1]}
    assert "0" not in {counts["rows"], counts["in Port"], counts["archived"]}
    done = old_terminal.type("prune")
    assert (done.code, done.err) == (0, "")
    assert done.lines == said.lines[:-1]
    assert stored(old_terminal) == {name: {day for day in days if day >= KEPT[0]} for name, days in before.items()}
    assert old_terminal.warehouse.read(TOTALS).to_pylist() == totals != []
    with duckdb.connect(copy_of(old_terminal.database), read_only=True) as copy:
        assert copy.execute("select min(usage_date) from ledger.stored_days").fetchone() == (KEPT[0],)
    assert in_port(old_terminal) == {day for day in pushed if day >= str(KEPT[0])}
    kept = sorted(file.name for file in copies_in(old_terminal.folder / "raw"))
    assert kept == [name for name in archived if name > str(KEPT[0])] != archived
    assert {line.split()[-2] for line in old_terminal.type("prune").lines[1:]} == {"0"}
    settings = Settings.load()
    due = due_days(old_terminal.warehouse, seeds_of(settings))
    assert min(each.day for each in due) == KEPT[0]
    lacking = [each for each in due if each.connection == "openai" and each.state in ("missing", "stale")]
    assert min(each.day for each in lacking) == KEPT[1] + DAY, "nothing of the kept days is missing or computed anew"
    refused = old_terminal.type("backfill", "--start", str(OLD[0]), "--end", str(KEPT[0]))
    assert f"start {OLD[0]} is before {KEPT[0]}, the first day that USAGE_RETENTION_MONTHS keeps" in refused.err
    assert daily_partitions(settings).get_first_partition_key() == str(KEPT[0])
    # A code location asks for no day that is removed while it runs.
    settings = Settings.load()
    [connection] = [each for each in settings.connections() if each.name == "openai"]
    seeds = seeds_of(settings)
    with time_machine.travel(datetime(2026, 12, 2, 8, tzinfo=UTC)):
        assert not old_terminal.type("prune").code
        assert not stored(old_terminal)["ledger.partition_versions"]
        assert min(each.day for each in due_days(old_terminal.warehouse, seeds)) == date(2026, 9, 1)
        assert earliest_day(connection, PROVIDERS["openai"]) == date(2026, 9, 1)
