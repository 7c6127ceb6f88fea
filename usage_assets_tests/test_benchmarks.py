"""The benchmarks run, at a tiny size: what they compare is complete and exact. How fast it is, no test asserts."""

import json
import re
import sys
from datetime import date
from decimal import Decimal
from math import inf
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner

from benchmarks import (
    __main__,
    assistant,
    backfill,
    bodies,
    calibrate,
    commands,
    connections,
    costs,
    due,
    events,
    focus,
    growth,
    lake,
    memory,
    months,
    parsing,
    port,
    postgres,
    report,
    runs,
    start,
    volume,
    waiting,
    windows,
    year,
)
from benchmarks.daemons import Lived
from benchmarks.figures import Figure
from benchmarks.server import running
from usage_assets.config.settings import Settings
from usage_assets.core import money
from usage_assets.core.days import DAY, Window, utc_today
from usage_assets.features.report.figures import read
from usage_assets.features.report.period import Period
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.opened import warehouse_at
from usage_assets_tests.conftest import Sandbox


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


def test_the_factor_is_that_of_every_part_of_the_workload() -> None:
    found = calibrate.calibrate(rounds=1)
    assert found.parts.keys() == calibrate.REFERENCE.keys()
    assert re.fullmatch(r"factor [\d.]+ \(Python [\d.]+, JSON [\d.]+, DuckDB [\d.]+, SQLite [\d.]+\)", str(found))
    assert calibrate.Calibration({"Python": 1, "JSON": 4}).factor == pytest.approx(2)


def test_the_reference_of_the_calibration_is_in_the_docs() -> None:
    text = (Path(__file__).parent.parent / "docs" / "benchmarks.md").read_text()
    for part, seconds in calibrate.REFERENCE.items():
        assert f"| {part} | {seconds:.3f} s |" in text


@pytest.mark.parametrize(("ours", "holds"), [(0, True), (1, False)])
def test_where_nothing_is_demanded_only_nothing_will_do(ours: float, holds: bool) -> None:
    found = Figure(name="a push", ours=ours, theirs=256, unit="req", demanded=inf)
    assert found.holds is holds


SLOW, FAST = calibrate.Calibration({"Python": 2}), calibrate.Calibration({"Python": 0.5})


@pytest.mark.parametrize(
    ("names", "lines", "machine", "code"), [([], 5, SLOW, 1), (["good"], 3, SLOW, 0), (["good"], 3, FAST, 1)]
)
def test_all_benchmarks_run_or_those_named_and_one_that_misses_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, names: list[str], lines: int, machine: calibrate.Calibration, code: int
) -> None:
    good = Figure(name="a year", ours=2, theirs=1, unit="s", demanded=1, is_at_factor_1=True)
    monkeypatch.setattr(__main__, "BENCHMARKS", {"good": lambda _: [good], "bad": lambda _: [figure(1, 1)]})
    monkeypatch.setattr(__main__.main.params[0].type, "choices", ("good", "bad"))
    monkeypatch.setattr(__main__, "calibrate", lambda: machine)
    result = CliRunner().invoke(__main__.main, names)
    assert (len(result.output.splitlines()), result.exit_code) == (lines, code)
    assert f"good: factor {machine.factor:.2f} (Python {machine.factor:.2f}), " in result.output
    assert len(re.findall(r", load [\d.]+$", result.output, re.M)) == lines - 1


def test_windows_of_all_connections_are_fetched_on_both_sides(sandbox: Sandbox) -> None:
    found = windows.figure(sandbox.base_url, days=1, latency=0.001, rounds=1)
    asked = [(request["path"], str(request["query"])) for request in sandbox.requests()]
    requests = len(asked) // 3  # to warm up, side by side, in turn
    assert found.name.startswith(f"{requests} requests of 1 days")
    assert sorted(asked[requests : 2 * requests]) == sorted(asked[2 * requests :])
    assert {path.split("/")[1] for path, _ in asked} == set(windows.CONNECTIONS)


def test_parsing_compares_equal_rows_and_only_ours_are_exact() -> None:
    costs, costs_a_second, completions, completions_a_second = parsing.figures(1, rows=20, rounds=1)
    assert costs.name.startswith("costs: 620 rows")
    assert "whose sum is off by" in costs.note
    assert completions.name.startswith("usage_completions: 620 rows")
    for figure in (costs_a_second, completions_a_second):
        assert (figure.theirs, figure.demanded, figure.is_at_factor_1) == (620 / 250, 1, True)


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
    (found,) = events.figures(3, rounds=1)  # raises where they do not
    assert found.name.endswith(" events of 3 days")


@pytest.mark.slow
def test_what_is_due_is_asked_where_only_the_last_days_are_not_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    def settings_of(folder: Path, year: Window) -> Settings:
        others = {"openai_admin_key": None, "anthropic_admin_key": None}
        return three_connections(folder, year).model_copy(update=others)

    three_connections = due.settings_of
    monkeypatch.setattr(due, "settings_of", settings_of)
    idle, asked = due.figures(3, rounds=1)  # raises where more is due, or the idle sensor asks for a run
    assert int(asked.name.split()[4]) % (1 + 2 + 3) == 0, "each day is read again on those after it"
    assert idle.ours > 0


def test_what_a_command_took_is_what_everything_took_that_it_started(tmp_path: Path) -> None:
    child = "x = b'x' * 800 * 2**20"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}]); print('done')"
    took = commands.run([sys.executable, "-c", parent], tmp_path, {})
    assert took.output == "done\n"
    assert took.mib > 800
    with pytest.raises(RuntimeError, match=r"failed \(3\): why"):
        commands.run([sys.executable, "-c", "print('why'); raise SystemExit(3)"], tmp_path, {})


@pytest.mark.slow
def test_a_backfill_is_measured_over_every_day_of_every_asset(tmp_path: Path) -> None:
    window = Window(utc_today() - DAY, utc_today() - DAY)
    with running("usage_assets_sandbox") as url:
        seconds, size, assets = backfill.backfill(url, tmp_path, window)  # raises where a day is missing
    assert assets == 16
    assert seconds > 0
    assert size * assets == sum(file.stat().st_size for file in tmp_path.rglob("*.db"))


def test_the_tutorial_has_the_versions_of_the_project_but_for_those_it_pins() -> None:
    found = backfill.constraints_beside("dagster\npandas==2.3.3\n", "dagster==1.13.27\npandas==3.1.1\n")
    assert found == "dagster==1.13.27\n"


@pytest.mark.slow
def test_a_year_is_in_port_and_the_mornings_after_it_write_what_has_changed() -> None:
    # raises where Port differs, a run fails or other days change than should
    cpu, wall, *ticks = year.figures(4, ["chatgpt"], ("chatgpt", "codex_usage", 3))
    assert cpu.name == wall.name == "4 days of 1 connections, to Port"
    assert "7 assets, 28 asset-days, " in cpu.note
    morning, nothing, restated = (ticks[n : n + 3] for n in (0, 3, 6))
    assert [ticked.name for ticked, *_ in (morning, nothing, restated)] == [*year.TICKS]
    assert "2 runs, 7 days of assets changed" in morning[0].note, "a new day of each asset is fetched and pushed"
    assert "1 runs, 0 days of assets changed" in nothing[0].note
    assert all(history.ours > 0 for _, history, _ in (morning, nothing, restated))
    assert (nothing[2].ours, nothing[2].theirs) == (0, 2), "of the workspace and of its users"
    assert restated[2].ours > 0


def test_an_import_is_measured_beyond_that_of_dagster_and_the_command_line_by_its_help(tmp_path: Path) -> None:
    imported, helped = start.figures_of_imports(tmp_path, rounds=1)
    assert (imported.unit, helped.name) == ("s", "usage-assets --help")
    assert "beyond `import dagster`, which takes " in imported.note


def test_a_query_of_nothing_is_measured_beside_one_that_adds_amounts(tmp_path: Path) -> None:
    asked = start.figure_of_query(tmp_path, rounds=1)
    assert (asked.unit, asked.theirs, asked.is_at_factor_1) == ("s", 0.4, True)
    assert asked.ours > 0
    assert "s for one that adds amounts" in asked.note


def test_an_assistant_is_measured_from_the_start_of_its_server_to_an_answer(tmp_path: Path) -> None:
    started, beyond = assistant.figures_of_start(tmp_path, rounds=1)
    assert (started.theirs, beyond.theirs, beyond.is_at_factor_1) == (1.2, 0.4, True)
    assert started.ours > beyond.ours > 0
    first, year = assistant.figures_of_answers(tmp_path, 3, people=20)
    assert first.name == "mcp: first answer, 30 rows"
    assert (year.theirs, year.unit) == (0.2, "s")


def test_an_export_is_measured_with_all_charges_that_it_writes(tmp_path: Path) -> None:
    year, last = tmp_path / "year", utc_today() - DAY
    year.mkdir()
    rows = report.fill(Warehouse(database=str(year / "usage.duckdb")), Window(last - DAY, last), people=20, names=4)
    (year / "connections.toml").write_text("")
    exported = focus.figure_of_export(tmp_path, year, 2, rounds=1)
    assert exported.name == f"export of {rows} charges"
    assert exported.theirs == rows / 25_000


def test_as_many_waits_are_measured_as_processes_write() -> None:
    (longest,) = waiting.figures(1, processes=2, writes=5)
    assert longest.name == "longest of 6 waits for the database"
    assert longest.ours >= longest.theirs > 0


@pytest.mark.slow
def test_a_lake_does_what_a_file_does(postgres: str, tmp_path: Path) -> None:
    """On the session's server: a lake stays attached to its process, which reads no other once its server is gone."""
    young = lake.new(postgres, tmp_path / "young")["lake"]
    first, later, growth_of_writes, *_ = lake.figures_of_mornings(lake.new(postgres, tmp_path), young, 2, rows=3)
    asked = lake.figure_of_costs(lake.new(postgres, tmp_path / "costs"), asked_rows=3)
    assert [later.name, growth_of_writes.name] == [f"{first.name}, after 2 of them"] * 2
    assert growth_of_writes.demanded == 1 / 1.5
    assert "s on a file" in asked.note


@pytest.mark.slow
def test_a_backfill_is_the_same_with_its_history_in_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "ACCOUNTS", ("CHATGPT",))
    cpu, wall = postgres.figures(2, rounds=1)
    assert cpu.ours > 0 < cpu.theirs
    assert wall.ours > 0 < wall.theirs
    assert "asset-days, history in PostgreSQL" in cpu.note


@pytest.mark.slow
def test_mornings_of_many_connections_are_measured_and_only_the_tick_that_finds_nothing_is_judged() -> None:
    ticks = list(connections.figures(1, count=2))
    judged = {figure.name: figure.theirs for figure in ticks if figure.unit == "s"}
    assert judged == {"a morning": inf, "a tick that finds nothing": 70, "a tick after one restated day": inf}
    assert "2 connections, 2 runs, 0 days of assets changed" in ticks[3].note


@pytest.mark.slow
def test_growth_is_measured_at_each_size_and_nothing_is_demanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "ROWS", {30: 2})
    monkeypatch.setattr(growth, "CONNECTIONS", {})
    found = list(growth.figures(365))
    assert {figure.name.partition(":")[0] for figure in found} == {"30 rows a day"}
    assert found[0].note.startswith("2 days, 11 assets, 22 asset-days")
    assert all(figure.ours > 0 and figure.holds for figure in found)


def test_growth_is_that_of_organizations_with_a_key_each(monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded(size: str, url: str, home: Path, connections: str, keys: int, days: int) -> list[Figure]:
        file = home / "connections.toml"
        file.write_text(connections)
        for n in range(keys):
            monkeypatch.setenv(f"KEY_{n}", f"key {n}")
        of_each = Settings.load(_env_file=None, usage_connections=file).connections()
        assert {each.base_url for each in of_each} == {f"{url}/anthropic"}
        note = ", ".join(f"{each.name} {each.provider}" for each in of_each)
        return [Figure(name=size, ours=days, unit="days", note=note)]

    monkeypatch.setattr(growth, "ROWS", {})
    monkeypatch.setattr(growth, "CONNECTIONS", {2: 31, 1: 365})
    monkeypatch.setattr(growth, "figures_of", loaded)
    two, one = growth.figures(90)
    assert (two.name, two.ours, two.note) == ("2 connections", 31, "anthropic_0 anthropic, anthropic_1 anthropic")
    assert (one.name, one.ours, one.note) == ("1 connections", 90, "anthropic_0 anthropic")


@pytest.mark.slow
def test_a_day_of_the_daemons_stores_and_pushes_what_the_books_say() -> None:
    found = {
        figure.name: figure for figure in months.figures(1, "CHATGPT", "PORT")
    }  # raises where a run fails or the books differ
    assert {name.partition(":")[0] for name in found} == {"month 1"}
    assert "1.0 usage" in found["month 1: CPU of a day"].note
    assert {name for name in found if "idle tick" in name} == {f"month 1: idle tick of {name}" for name in months.TICKS}
    parts = [found[f"month 1: history: {part}"].ours for part in ("index.db", "runs.db", "schedules.db", "storage")]
    assert all(parts)
    history = found["month 1: Dagster's history"].ours
    assert history == pytest.approx(sum(parts) + found["month 1: history: logs of runs"].ours)


@pytest.mark.slow
def test_pruning_takes_back_logs_and_no_row() -> None:
    found = {figure.name: figure.ours for figure in runs.figures(1, "CHATGPT", "PORT")}
    [day] = {name.partition(":")[0] for name in found if name.startswith("day 1, ")}
    before, after = ({part: found[f"{when}: {part}"] for part in runs.PARTS} for when in (day, "pruned 8 days later"))
    assert found["new home: logs"] == 0 < after["logs"] < before["logs"]
    assert {part for part in ("database", "published", "archive") if before[part] != after[part]} == set()


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


def test_control_totals_of_made_up_costs_are_what_their_rows_add_up_to() -> None:
    day = b"".join(bodies.page("organization/costs", date(2026, 1, 1), 1, rows=50))
    total = b"".join(bodies.page("organization/costs", date(2026, 1, 1), 1, rows=50, is_control=True))
    amounts, (amount,) = (
        [result["amount"]["value"] for result in json.loads(body, parse_float=Decimal)["data"][0]["results"]]
        for body in (day, total)
    )
    assert len(amounts) == 50
    assert money.total(amounts) == amount


def test_the_reports_company_is_billed_what_its_page_shows(tmp_path: Path) -> None:
    warehouse, window = (
        Warehouse(database=str(tmp_path / "usage.duckdb")),
        Window(date(2026, 9, 20), date(2026, 11, 21)),
    )
    rows = report.fill(warehouse, window, people=20, names=4)
    assert rows == 20 * 62 // 2 + 1
    with warehouse.reading() as database:
        found = read(database, Period.of_month(window.last, window.last))
        [(billed,)] = database.execute(
            "select sum(amount_usd) from costs.daily_costs where usage_date >= date '2026-11-01'"
        ).fetchall()
    for name in ("by_day", "by_person", "by_team"):
        assert sum(row["usd"] for row in found.figures[name].rows.to_pylist()) == billed
    assert found.figures["connections"].rows.num_rows == report.CONNECTIONS


@pytest.mark.slow
def test_volume_is_loaded_copied_and_asked_by_team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    last = utc_today() - DAY
    window = Window(last - DAY, last)
    with running("benchmarks.server", "--rows", "20", "--people", "5") as url:
        for name, value in volume.configured(tmp_path, url).items():
            monkeypatch.setenv(name, value)
        settings = Settings.load(_env_file=None, usage_warehouse=str(tmp_path / "usage.duckdb"))
        for step in volume.STEPS:
            volume.materialize(settings, step, window)
    warehouse = warehouse_at(settings.warehouse)
    volume.copy(warehouse, 2)
    *seconds, rows, usd, of_teams = volume.ask(warehouse, window).split()
    assert (len(seconds), rows, usd) == (5, "120", of_teams)
    people = "select count(distinct user_id) as people from costs.allocated_costs_by_key"
    assert warehouse.read(people).to_pylist() == [{"people": 2 * 3 * 5}]  # each day has people of its own
