"""`usage-assets report`, and the asset and the sensor that write the same page by themselves."""

import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import dagster as dg
import pytest
import time_machine

from usage_assets.assets.warehouse_resource import WarehouseResource
from usage_assets.core.days import DAY
from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import publish
from usage_assets.warehouse.readable import NOT_PUBLISHED
from usage_assets_report.graph.page import build_report_asset
from usage_assets_report.graph.sensor import build_report_sensor
from usage_assets_report.insights import refresh
from usage_assets_report.insights.compute import Insights
from usage_assets_report_tests.conftest import make_all_views
from usage_assets_tests.fixtures import NOW, TODAY, NewWarehouse
from usage_assets_tests.models.days import Days, cases, raw
from usage_assets_tests.terminal import Terminal, refusal


@dg.op
def fetch() -> None:
    """Stand for a run."""


@dg.job
def usage() -> None:
    """Stand for a job."""
    fetch()


MORNING = datetime(2026, 11, 13, 7, tzinfo=UTC)


@pytest.fixture(scope="session")
def filled_once(warehouse_with_views: NewWarehouse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a warehouse of a few days of costs, all views and its published copy, filled once a session."""
    folder = tmp_path_factory.mktemp("filled")
    warehouse = warehouse_with_views(folder)
    with time_machine.travel(NOW - timedelta(hours=1)):  # before each test
        days = Days(warehouse)
        some = [raw(Costs, usage_date=TODAY - n * DAY, line_item="gpt-5, input") for n in (1, 2, 3)]
        days.fetched(Costs, *some, first=TODAY - 3 * DAY, last=TODAY - DAY)
        days.derive("openai_costs", first=TODAY - 3 * DAY, last=TODAY - DAY)
        make_all_views(warehouse)
        publish(warehouse)
    return folder


@pytest.fixture
def home(terminal: Terminal, filled_once: Path) -> Terminal:
    """A person in a folder of their own, with a few days of costs."""
    for file in filled_once.iterdir():
        shutil.copy2(file, terminal.folder)
    return terminal


HOW = "Dagster computes them after runs (make run). To do it now: usage-assets report --refresh\n"
BUDGETS = """
[[budget]]
name = "all"
amount = 10
[[budget]]
name = "typo"
team = "wbe"
amount = 5
"""


def test_a_report_says_how_to_get_budgets_and_forecasts_gets_them_and_says_why_they_are_unknown(home: Terminal) -> None:
    """Three dollars of ten: nothing has computed it, because no sensor runs."""
    (home.folder / "connections.toml").write_text(BUDGETS)
    home.set(USAGE_CONNECTIONS="connections.toml")
    assert home.run("accounting --store").code == 0
    said = home.run("report --text")
    assert (said.code, said.err) == (None, f"forecasts, anomalies and budgets are not computed yet. {HOW}")
    assert said.lines[:2] == [
        "AI spend, November 2026: 2026-11-01 to 2026-11-19, UTC",
        "Nothing before 2026-11-17 is stored.",
    ], "a month of three stored days is not the whole month"
    assert len(said.lines) <= 40
    assert all(
        words in said.out
        for words in ("billed, valued in USD", "$3.00", "openai: stored 2026-11-17 to 2026-11-19, no day is final")
    )
    said = home.run("report --refresh --text")
    unknown = "unknown (openai is not stored on 2026-11-01 to 2026-11-16)"
    assert (said.code, said.err) == (None, "")
    assert f"Forecast: {unknown}.\n" in said.out
    assert f"\n  all, 1 to 30 Nov: $3.00 of $10.00, forecast {unknown}" in said.out
    assert "\n  typo, 1 to 30 Nov: team wbe: no stored costs in USD\n" in said.out
    with home.warehouse.transaction() as database:
        for table in ("costs.forecast_totals", "costs.budget_status"):
            known = "expected = 14, low = 13, high = 15.5, expected_reason = null"
            database.execute(f"update {table} set {known} where kind = 'all'")
    day = TODAY - 4 * DAY
    with time_machine.travel(NOW - DAY):  # the clock of another host is behind
        Days(home.warehouse).fetched(Costs, raw(Costs, usage_date=day), first=day)
    publish(home.warehouse)
    said = home.run("report --text")
    assert "  Forecast: $14.00 (80% range $13.00 to $15.50).\n" in said.out
    assert "\n  all, 1 to 30 Nov: $3.00 of $10.00, forecast $14.00" in said.out
    assert re.fullmatch(
        rf"forecasts, .* are of 2026-.* UTC, and what is stored has changed\. {re.escape(HOW)}", said.err
    )
    with time_machine.travel(NOW - timedelta(hours=2)):  # the clock was set back: stored times are to come
        assert home.run("report --refresh --text").err == ""


def test_a_warehouse_of_an_earlier_release_is_one_line_that_says_how_it_is_brought_up_to_date(home: Terminal) -> None:
    """Seen after an upgrade: three thousand costs, "no costs are stored yet", and a stack trace of --refresh. A
    connection that has ended is named: in a shell without its key, the forecast of everything fell without a word."""
    with home.warehouse.get_connection() as database:
        views = "select view_name from duckdb_views() where schema_name = 'costs' and view_name like $name"
        for (view,) in database.execute(views, {"name": "%"}).fetchall():
            database.execute(f"drop view costs.{view}")
        database.execute("alter table costs.daily_costs drop column charge_frequency")
        database.execute("delete from ledger.assets")
        database.execute(
            "insert into ledger.assets (connection, table_name, slice, asset, first_day, reads, names) "
            "values ('other', 'openai.costs', '', 'other/costs', '2026-11-01', '', '')"
        )
    publish(home.warehouse)
    commands = ("report --text", "what-if")
    for command in commands:
        assert re.fullmatch(
            r"usage-assets: an earlier release has written what is stored: "
            r"usage-assets report --refresh brings it up to date \(Catalog Error: .*\)\n",
            home.type(*command.split()).err,
        )
    home.set(OPENAI_ADMIN_KEY=None)
    said = home.run("report --refresh --text")
    assert (said.code, len(said.complaints)) == (None, 1)
    assert said.err.startswith("nothing more is expected of openai: no longer configured here. If that is wrong, set")
    assert "openai: stored 2026-11-17 to 2026-11-19, no day is final, no longer configured: nothing more is" in said.out
    assert "$3.00" in said.out


def test_a_day_that_is_stored_while_insights_are_computed_is_not_in_them(
    home: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(found: Insights, *_: object) -> Insights:
        day = TODAY - 4 * DAY
        Days(home.warehouse).fetched(Costs, raw(Costs, usage_date=day), first=day)
        return found

    monkeypatch.setattr(refresh, "with_metrics", meanwhile)
    said = home.run("report --refresh --month 2026-10")
    assert (said.code, len(said.complaints)) == (None, 1)
    assert "and what is stored has changed" in said.err
    page = Path(home.warehouse.database).with_name("report.html")
    assert said.lines == [f"open {page}"], "beside the warehouse"
    assert page.stat().st_mode & 0o077 == 0
    assert "AI spend, October 2026" in page.read_text()


BAD_OPTIONS = cases("""
    --month November -> --month November: must look like 2026-11
    --month 2026-12 -> --month 2026-12: the newest day is 2026-11-19
    --month 2026-11 --end 2026-11-02 -> name --month, or --start and --end
    --start 2026-11-02 -> name --month, or --start and --end
    --start 2026-11-02 --end 2026-11-01 -> end 2026-11-01 is before start 2026-11-02
    --out usage.toml/x.html -> usage.toml/x.html: File exists: name another file with --out
""")


def test_bad_options_are_one_line(home: Terminal) -> None:
    (home.folder / "usage.toml").touch()
    said = [(options, refusal(home.type("report", *options.split()))) for options, _ in BAD_OPTIONS]
    assert said == BAD_OPTIONS


def test_without_a_published_copy_it_says_so_in_a_line(terminal: Terminal) -> None:
    for words in (("report",), ("report", "--refresh")):
        said = terminal.type(*words)
        assert said.code == 2
        assert said.err.endswith(f"{NOT_PUBLISHED}. USAGE_WAREHOUSE names the database\n")
        assert not terminal.warehouse.exists, "who only reads does not make it"


def test_the_asset_writes_the_page_and_links_it(home: Terminal, tmp_path: Path) -> None:
    asset = build_report_asset(tmp_path / "report.html", None, lambda: TODAY - DAY, [])
    resources = {"warehouse": WarehouseResource.of(home.warehouse, publishes=False)}
    with dg.DagsterInstance.ephemeral() as instance:
        [event] = dg.materialize([asset], instance=instance, resources=resources).asset_materializations_for_node(
            "report"
        )
    found = {name: value.value for name, value in event.metadata.items()}
    page = tmp_path / "report.html"
    assert unquote(urlsplit(str(found["page"])).path) == found["file"] == str(page)
    assert page.stat().st_mode & 0o077 == 0, "only its readers may open it"
    assert (found["first_day"], found["last_day"]) == ("2026-11-01", "2026-11-19")


def test_the_page_is_written_when_runs_have_changed_what_is_stored_and_have_ended(tmp_path: Path) -> None:
    warehouse = Warehouse(database=str(tmp_path / "usage.duckdb"))
    days = Days(warehouse)
    sensor = build_report_sensor(running=True)
    cursor: str | None = None

    def asked(at: datetime) -> int:
        nonlocal cursor
        with (
            time_machine.travel(at, tick=False),
            dg.build_sensor_context(
                instance=instance,
                cursor=cursor,
                resources={"warehouse": WarehouseResource.of(warehouse, publishes=False)},
            ) as context,
        ):
            found = sensor.evaluate_tick(context)
        cursor = found.cursor
        for request in found.run_requests or []:
            tags = {"dagster/run_key": str(request.run_key)}
            instance.create_run_for_job(usage, status=dg.DagsterRunStatus.STARTED, tags=tags)
        return len(found.run_requests or [])

    def end(kind: dg.DagsterEventType) -> None:
        for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
            instance.report_dagster_event(dg.DagsterEvent(kind.value, run.job_name), run.run_id)

    with dg.DagsterInstance.ephemeral() as instance:
        assert asked(MORNING) == 0, "nothing is stored"
        days.fetched(Costs, raw(Costs))
        publish(warehouse)
        under_way = instance.create_run_for_job(usage, status=dg.DagsterRunStatus.STARTED)
        assert asked(MORNING) == 0, "a run is under way"
        instance.report_run_canceled(under_way)
        assert [asked(MORNING), asked(MORNING)] == [1, 0]
        end(dg.DagsterEventType.RUN_FAILURE)
        assert [asked(MORNING), asked(MORNING + timedelta(minutes=9))] == [0, 0]
        assert asked(MORNING + timedelta(minutes=10)) == 1, "it failed"
        end(dg.DagsterEventType.RUN_SUCCESS)
        days.fetched(Costs, raw(Costs))
        publish(warehouse)
        assert asked(MORNING) == 0, "no day has changed"
        days.fetched(Costs)
        publish(warehouse)
        assert asked(MORNING) == 1
        end(dg.DagsterEventType.RUN_SUCCESS)
        with time_machine.travel(MORNING - timedelta(days=40)):
            days.fetched(Costs, raw(Costs))
        publish(warehouse)
        assert asked(MORNING) == 1, "the clock of another host is behind"
        end(dg.DagsterEventType.RUN_SUCCESS)
        assert asked(MORNING + DAY) == 1, "another day"


FROM, UNTIL = str(TODAY - 3 * DAY), str(TODAY - DAY)
