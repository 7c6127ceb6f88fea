"""What a person types and sees: backfills that the UI knows, one clear line for bad input, and the sandbox."""

import os
import resource
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from io import StringIO
from typing import Literal

import dagster as dg
import duckdb
import httpx
import pytest
import time_machine
from dagster import DagsterRunStatus
from dotenv import dotenv_values

from usage_assets.assets.warehouse_resource import WarehouseResource
from usage_assets.build import build_definitions
from usage_assets.cli.access import connections_named
from usage_assets.cli.backfill_runs import plan_of
from usage_assets.cli.interrupts import CTRL_C, SAID
from usage_assets.cli.progress import COUNTS, AssetProgress
from usage_assets.config.settings import Settings
from usage_assets.core.days import Window
from usage_assets.models.connection_graph import graph_of, seeds_of
from usage_assets.warehouse.opened import warehouse_at
from usage_assets.warehouse.published import is_current
from usage_assets_tests.alone import needs
from usage_assets_tests.end_to_end.conftest import sandbox_environment, with_endpoints, with_main_endpoints
from usage_assets_tests.end_to_end.test_own_blueprints import SQL, write
from usage_assets_tests.fixtures import NO_KEYS, NOW, TODAY, NewWarehouse, Sandbox, last_days, set_all
from usage_assets_tests.models.days import cases
from usage_assets_tests.port_user import port_user
from usage_assets_tests.terminal import Said, Terminal, holding, refusal
from usage_assets_tests.waiting import looks, until

DAYS = last_days(3)
RANGE = ("--start", str(DAYS[0]), "--end", str(DAYS[-1]))
LATEST = str(DAYS[-1])
LAST_DAY = ("--start", LATEST, "--end", LATEST)


@pytest.fixture
def stored_terminal(terminal: Terminal, warehouse_with_views: NewWarehouse) -> Terminal:
    """The same, with a database that has no rows: to make its views would take each test a second."""
    warehouse_with_views(terminal.folder)
    return terminal


@pytest.fixture
def tiny_terminal(stored_terminal: Terminal) -> Terminal:
    """The same, with one report of OpenAI, one table that is computed from that, and lookups."""
    terminal = stored_terminal
    terminal.set(with_endpoints(terminal.folder, "usage_completions"))
    return terminal


def line_of(connection: str, said: Said) -> str:
    """The closing line of a connection."""
    (line,) = (line for line in said.lines if line.startswith(f"{connection} "))
    return line


# Backfills


def test_a_backfill_stores_every_connection_and_says_what_it_cost(stored_terminal: Terminal) -> None:
    terminal = stored_terminal
    terminal.set(with_main_endpoints(terminal.folder))
    said = terminal.type("backfill", *LAST_DAY)
    truth = terminal.sandbox.truth(DAYS[-1], DAYS[-1])
    assert said.code == 0
    rows = f"rows {terminal.rows('openai'):,}"
    assert f"days 1, {rows}, requests 2, requests for control totals 1, " in line_of("openai", said)
    assert f"{truth['openai']['usd']:,.2f} USD billed" in line_of("openai", said)
    assert f"{truth['anthropic']['cents'] / 100:,.2f} USD billed" in line_of("anthropic", said)
    assert f"{truth['anthropic']['estimated_cents_api'] / 100:,.2f} USD estimated" in line_of("anthropic", said)
    assert f"{truth['chatgpt']['credits']:,.2f} credits" in line_of("chatgpt", said)
    assert "requests 3, requests for control totals 1, " in line_of("anthropic", said)
    of_refused_report = 1  # the newer cost report of Anthropic, which this key may not read
    assert len(asked(terminal, "days")) == (2 + 1) + (3 + 1 + of_refused_report) + 2
    assert len(asked(terminal, "lookups")) == 12 + 4


LISTS = ("projects", "users", "api_keys", "service_accounts", "workspaces", "me")
"""How the paths of lookups end."""


def asked(terminal: Terminal, kind: Literal["days", "lookups"]) -> list[str]:
    """How the paths end of which days, or lookups, were asked for."""
    ends = [request["path"].rpartition("/")[2] for request in terminal.sandbox.requests()]
    return [end for end in ends if (end in LISTS) == (kind == "lookups")]


def test_days_that_are_due_get_the_names_of_their_ids_also_where_these_were_refused_at_first(
    stored_terminal: Terminal,
) -> None:
    terminal = stored_terminal
    terminal.set({**with_endpoints(terminal.folder, "costs"), "USAGE_START_DATE": LATEST})
    terminal.sandbox.refuse("GET /openai/v1/organization/projects", 403)
    due = ("backfill", "--due", "--push", "--connection", "openai")
    unnamed = terminal.type(*due)
    assert unnamed.code == 1
    assert "FAILED: openai: not refreshed, for the reasons above: openai/project" in unnamed.complaints[-1]
    assert "days 1, rows" in line_of("openai", unnamed)
    terminal.sandbox.mend()
    named = terminal.type(*due)
    assert named.code == 0
    assert "names in openai.projects changed" in named.err
    asked = len(terminal.sandbox.requests())
    assert terminal.type(*due).lines == ["no day is due"]
    assert len(terminal.sandbox.requests()) == asked, "lookups are listed once a day"
    range_ = terminal.type("backfill", *LAST_DAY, "--push", "--connection", "openai")
    assert "Port: nothing to send" in line_of("openai", range_), "it has what a range would send"


def test_what_was_stored_while_the_clock_was_ahead_is_due_when_it_is_right(
    tiny_terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days that had not come yet were stored as empty ones, and whoever only types commands has no schedule."""
    monkeypatch.setenv("USAGE_START_DATE", LATEST)
    due = ("backfill", "--due", "--connection", "openai")
    with time_machine.travel(NOW + timedelta(days=9)):
        assert line_of("openai", tiny_terminal.type(*due)).startswith(f"openai {LATEST} to 2026-11-28: days 10, rows ")
    assert line_of("openai", tiny_terminal.type(*due)).startswith(f"openai {LATEST}: days 1, rows ")
    assert tiny_terminal.type(*due).lines == ["no day is due"]


def test_who_only_types_backfills_has_plain_lines_runs_in_the_ui_and_a_copy_at_once(
    tiny_terminal: Terminal,
) -> None:
    terminal, path = tiny_terminal, tiny_terminal.folder / "usage-latest.duckdb"
    said = terminal.type("backfill", *RANGE, "--connection", "openai")
    assert said.code == 0
    assert {request["path"].split("/")[1] for request in terminal.sandbox.requests()} == {"openai"}
    # A plain line per asset. Where no terminal is, progress is that.
    lines = [line for line in said.complaints if not is_how_far(line)]
    assert len(lines) == 2 + 4 + 1, "assets of days, lookups, and that there is something to query"
    assert len([line for line in said.complaints if f" {DAYS[0]} to {LATEST}: days 3" in line]) == 2
    assert "  openai/projects: rows 4, requests 1" in said.complaints
    assert f"  openai/usage_completions {DAYS[0]} to {LATEST}: days 3, rows " in said.err
    assert "\x1b" not in said.err
    # Runs can be run again from the ui and the sensor sees them.
    definitions = build_definitions(Settings.load())
    with dg.DagsterInstance.get() as instance:
        of_the_location = dg.RunsFilter(tags={".dagster/repository": "__repository__@usage_assets"})
        runs = instance.get_runs(of_the_location)
        assert [run.job_name for run in runs] == ["usage", "lookups"], "the newest first"
        for run in runs:
            assert run.status is DagsterRunStatus.SUCCESS
            assert run.remote_job_origin
            assert run.remote_job_origin.location_name == "usage_assets"
        sensor = definitions.resolve_sensor_def("port_changed_partitions_sensor")
        warehouse = WarehouseResource.of(warehouse_at(Settings.load().warehouse), publishes=False)
        with dg.build_sensor_context(
            instance=instance, definitions=definitions, resources={"warehouse": warehouse}
        ) as context:
            (request,) = sensor.evaluate_tick(context).run_requests or ()
    assert request.tags["dagster/asset_partition_range_start"] == str(DAYS[0])
    assert request.tags["dagster/asset_partition_range_end"] == LATEST
    first = said.complaints.index(f"  rows that are stored so far can be queried, costs later: {path}")
    assert len([line for line in said.complaints[:first] if ": days 3, " in line]) == 1, (
        "after the first asset with days"
    )
    versions = "select * from ledger.partition_versions order by all"
    with duckdb.connect(path, read_only=True) as copy:
        copy.execute("set TimeZone = 'UTC'")
        assert copy.execute(versions).to_arrow_table() == terminal.warehouse.read(versions)


def is_how_far(line: str) -> bool:
    """Whether a line says how far the backfill is, which comes where nothing else has come for a while."""
    return " days of assets, " in line


@needs("vendors")
def test_runs_have_at_most_186_days_and_a_report_that_reaches_less_far_back_is_asked_for_its_own_days_only(
    terminal: Terminal,
) -> None:
    connections = terminal.folder / "copilot.toml"
    connections.write_text(
        '[[connection]]\nname = "copilot"\nprovider = "github_copilot"\nkey = "env:HOME"\norganization = "acme"\n'
        'start_date = "2025-01-01"\n'
    )
    terminal.set(USAGE_CONNECTIONS=str(connections))
    settings = Settings.load()
    (copilot,) = connections_named(settings, ["copilot"])
    first, last, reach = TODAY - timedelta(days=400), TODAY - timedelta(days=1), TODAY - timedelta(days=365)
    share = plan_of(copilot, first, last, build_definitions(settings), push=True)
    assert share
    assert [part.job for part in share.run_plans] == ["lookups", *["usage"] * 3, *["port_sync"] * 3]
    usage = [(part.window, {key.path[-1] for key in part.assets}) for part in share.run_plans if part.job == "usage"]
    assert [window for window, _ in usage] == [
        Window(first, reach - timedelta(days=1)),
        Window(reach, reach + timedelta(days=185)),
        Window(reach + timedelta(days=186), last),
    ]
    metrics = {"users_1_day", "organization_1_day"}
    assert [metrics & assets for _, assets in usage] == [set(), metrics, metrics]
    assert all("ai_credits" in assets for _, assets in usage)


def test_the_counts_are_in_the_metadata_of_the_runs(stored_terminal: Terminal) -> None:
    """Of the two days between which OpenAI began to tell API keys apart: what it refuses is split. Of money without a
    dollar value, the amount is said."""
    terminal = stored_terminal
    operation = {"do": "set", "path": "data[*].results[*].amount.currency", "to": "eur"}
    route = "GET /openai/v1/organization/costs"
    terminal.sandbox.faults({"route": route, "fault": "edit", "operations": [operation]})
    terminal.set(with_endpoints(terminal.folder, "costs"))
    said = terminal.type("backfill", "--start", "2025-12-05", "--end", "2025-12-06", "--connection", "openai")
    assert said.code == 0
    with dg.DagsterInstance.get() as instance:
        events = instance.fetch_materializations(dg.AssetKey(["openai", "costs"]), limit=1000).records
    saying = [event.asset_materialization for event in events if event.asset_materialization]
    counts = [{name: fact.value for name, fact in event.metadata.items() if name in COUNTS} for event in saying]
    [counted] = map(Counter, filter(None, counts))
    assert len(events) == 2
    assert counted == Counter(requests=1, requests_for_control=1, requests_refused=1, windows_split=1)
    line, days = line_of("openai", said), (date(2025, 12, 5), date(2025, 12, 6))
    assert "requests 1, requests for control totals 1, refused for their grouping 1, " in line
    assert f", {terminal.sandbox.truth(*days)['openai']['usd']:,.2f} major units of EUR billed without a dollar" in line
    assert "USD" not in line
    assert len(asked(terminal, "days")) == counted.total()


def test_a_failed_asset_is_named_with_its_reason_and_the_others_go_on(stored_terminal: Terminal) -> None:
    variables = with_main_endpoints(stored_terminal.folder) | {"USAGE_UI_URL": "https://dagster.example"}
    stored_terminal.set(variables)
    body = {"error": {"message": "no"}}
    stored_terminal.sandbox.refuse("GET /openai/v1/organization/costs", 401, body=body)
    said = stored_terminal.type("backfill", *LAST_DAY, "--connection", "openai", "--connection", "chatgpt")
    (failed,) = [line for line in said.complaints if line.startswith("FAILED: ")]
    assert said.code == 1
    assert failed.startswith(
        "FAILED: openai: not refreshed, for the reasons above: openai/costs, openai/costs/allocated_costs, "
        "openai/costs/daily_costs, openai/entities/ai_cost_record, openai/entities/ai_model_cost, "
        "openai/entities/ai_team_cost, openai/entities/ai_user_cost, openai/entities/openai_daily_usage. "
        "What was stored stays."
    )
    assert said.err.count("401 from GET /openai/v1/organization/costs: no. Check the admin key") == 1
    assert said.err.count("not computed, because what it reads failed") == 1
    assert "days 1, rows" in line_of("chatgpt", said)
    assert line_of("openai", said).startswith(f"openai {LATEST}: FAILED for 8 of 14 assets; stored: days 1")
    with dg.DagsterInstance.get() as instance:
        [run] = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
    assert failed.endswith(f" (https://dagster.example/runs/{run.run_id})")
    assert "Traceback" not in said.err


def test_a_full_disk_ends_with_what_is_stored_and_the_next_backfill_goes_on(tiny_terminal: Terminal) -> None:
    """Here, of Dagster's files and the database, Dagster's meet it first."""
    terminal, words = tiny_terminal, ("backfill", *RANGE, "--connection", "openai")
    with no_file_larger_than(terminal.database.stat().st_size):
        said = terminal.type(*words)
    assert said.code == 1
    assert line_of("openai", said).startswith(f"openai {DAYS[0]} to {LATEST}: nothing; ")
    assert said.complaints[-1].startswith(f"FAILED: {terminal.folder / 'home'}: Dagster cannot store its events: ")
    assert "usage.duckdb: FATAL Error: " in said.complaints[-2]
    assert said.complaints[-2].endswith(": make room, then run this again; what is stored stays")
    assert "Traceback" not in said.err
    assert f"openai {DAYS[0]} to {LATEST}: days 3, rows " in terminal.type(*words).out


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """As on a full disk, for files that grow: Python ignores the signal that comes with it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def open_real_time(terminal: Terminal) -> Iterator[None]:
    """Let the sandbox's clock be that of other processes."""
    terminal.sandbox.control("POST", "clock", {"now": None})
    yield
    terminal.sandbox.control("POST", "clock", {"now": NOW.isoformat()})


def real_day_of_use(sandbox: Sandbox) -> str:
    """The newest closed day with use of Codex, of processes with the real clock: some days have none."""
    command = "from datetime import *; print(datetime.now(UTC).date())"
    today = subprocess.run([sys.executable, "-c", command], text=True, capture_output=True, check=True).stdout.strip()
    days = [date.fromisoformat(today) - timedelta(days=n) for n in (1, 2)]
    return next(str(day) for day in days if sandbox.truth(day, day)["chatgpt"]["turns"])


CODEX = "GET /chatgpt/v1/analytics/codex/workspaces/ws-sandbox/usage"
PUSHES = "POST /port/v1/blueprints/ai_connection/entities/bulk"
ENDLESS = "sum(amount_usd) + (select sum(range) from range(1000000000000)) as dollars"


def test_ctrl_c_or_a_request_to_end_ends_a_backfill_wherever_it_is(stored_terminal: Terminal) -> None:
    """Also where it waits for an answer in another thread, and where DuckDB makes another error of the interrupt. What
    was left is done by the next one."""
    terminal = stored_terminal
    with open_real_time(terminal):
        day = real_day_of_use(terminal.sandbox)
        terminal.set(USAGE_START_DATE=day)
        to_do = ("--connection", "chatgpt", "--push")
        words = ("backfill", "--start", day, "--end", day, *to_do)
        with holding(terminal.database), terminal.start(*words) as planning:
            index = terminal.folder / "home" / "history" / "runs" / "index.db"
            until(index.exists, "it opens Dagster's home, and waits for the database then")
            require_end(planning, signal.SIGTERM)
        for number, route in ((signal.SIGTERM, CODEX), (signal.SIGINT, PUSHES)):
            terminal.sandbox.control("POST", "requests/clear")
            terminal.sandbox.faults({"route": route, "fault": "delay", "seconds": 300})
            with terminal.start(*words) as waiting:
                asked = (request for _ in looks(60) for request in terminal.sandbox.requests())
                assert any(f"{request['method']} {request['path']}" == route for request in asked), route
                require_end(waiting, number)
            assert ("chatgpt.codex_usage" in terminal.tables()) is (route != CODEX)
            assert is_current(terminal.database), "what is stored can be read"
            terminal.sandbox.mend()
        write(terminal.folder / "blueprints", sql=SQL.replace("sum(amount_usd) as dollars", ENDLESS))
        terminal.set(USAGE_BLUEPRINTS="blueprints")
        with terminal.start(*words[:-1]) as computing:
            assert any("chatgpt/entities/model_day" in line for line in computing.stderr or ())
            require_end(computing)
        terminal.set(USAGE_BLUEPRINTS=None)
        for said in ("chatgpt 20", "no day is due"):
            with terminal.start("backfill", "--due", *to_do) as due:
                assert due.communicate()[0].startswith(said)
            assert due.returncode == 0
    with dg.DagsterInstance.get() as instance:
        ended = [run.status for run in instance.get_runs()]
    assert DagsterRunStatus.FAILURE in ended
    assert {*ended} == {DagsterRunStatus.FAILURE, DagsterRunStatus.SUCCESS}


def require_end(process: "subprocess.Popen[str]", number: signal.Signals = signal.SIGINT) -> None:
    """Press Ctrl-C: it says one line, and ends, though what it waits for takes minutes."""
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    # click ends the line in which a terminal shows ^C; what is done is told in lines that are indented
    assert [line for line in err.splitlines() if line[:1] not in ("", " ") and not is_how_far(line)] == [SAID]


def test_ctrl_c_is_known_as_soon_as_it_is_raised() -> None:
    """Otherwise the interpreter ends as it does, which took up to nine seconds."""
    code = """
import os, signal
from usage_assets.cli.interrupts import CTRL_C, noticed
with noticed():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        print(CTRL_C.came)
"""
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")


def press(_: pytest.MonkeyPatch) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def have_pressed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where Dagster has caught the signal, and lets it wait for the end of a step: only the watcher knows of it."""
    monkeypatch.setattr(CTRL_C, "came", True)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a real one quietens them
@pytest.mark.parametrize("interrupt", [press, have_pressed])
def test_an_interruption_between_two_events_ends_the_run(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, interrupt: Callable[[pytest.MonkeyPatch], None]
) -> None:
    settings = Settings.load()
    definitions = build_definitions(settings)
    (openai,) = connections_named(settings, ["openai"])
    share = plan_of(openai, DAYS[0], DAYS[-1], definitions, push=False)
    assert share
    seen: list[str] = []
    graph = graph_of(openai, seeds_of(settings)[0])
    with dg.DagsterInstance.get() as instance:
        with pytest.raises(KeyboardInterrupt):
            interrupt_at_once(
                share.run(definitions, graph, instance, log_level="CRITICAL"), seen, partial(interrupt, monkeypatch)
            )
        (run,) = instance.get_runs()
    assert run.status is DagsterRunStatus.FAILURE
    assert set(seen) == {"openai/project_api_keys"}, "the one that had begun"
    assert not terminal.sandbox.requests()


def interrupt_at_once(steps: Iterable[AssetProgress], seen: list[str], interrupt: Callable[[], None]) -> None:
    """Interrupt this process while a step is looked at, and note the steps."""
    for step in steps:
        if not seen:
            interrupt()
        seen.append(step.asset)


# Bad input


BAD_WORDS: Mapping[tuple[str, ...], str] = {
    ("--start", "2026-13-01", "--end", LATEST): "start '2026-13-01' is not a day: write YYYY-MM-DD",
    (*RANGE, "--connection", "opneai"): "connection 'opneai' is unknown; known: openai, anthropic, chatgpt",
    ("--start", "2025-01-01", "--end", "2025-01-02", "--connection", "chatgpt"): "before the earliest day",
    ("--start", LATEST): "name the days with --start and --end, or use --due (usage-assets backfill --help)",
    (*RANGE, "--due"): "--due cannot be combined with",
    (*RANGE, "--weird"): "No such option",
}
NO_PORT = dict.fromkeys(("PORT_CLIENT_ID", "PORT_CLIENT_SECRET"))


def test_bad_words_and_bad_settings_get_one_line_and_change_nothing(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for words, complaint in BAD_WORDS.items():
        refused(terminal, *words, complaint=complaint)
    for setting, complaint in cases("""
        OPENAI_ADMIN_KEY= -> connection 'openai' is unknown; known: anthropic, chatgpt
        PORT_CLIENT_SECRET= -> PORT_CLIENT_SECRET: not set, but the other half
        DAGSTER_HOME=home -> DAGSTER_HOME: home is not the absolute path of a folder
        DAGSTER_HOME= -> DAGSTER_HOME: not set, and the current folder holds no dagster.yaml
    """):
        variables = dict([setting.split("=")])
        refused_with(terminal, variables, *RANGE, "--connection", "openai", complaint=complaint)
    for name in ("what?", "a%20b"):
        (home := terminal.folder / name).mkdir()
        complaint = f"DAGSTER_HOME: {home}: Dagster misreads ? and % in a path"
        refused_with(terminal, {"DAGSTER_HOME": str(home)}, *RANGE, complaint=complaint)
        assert not [*home.iterdir()], "nor is anything made in another folder"
    refused_with(terminal, NO_KEYS, *RANGE, complaint="connection openai: no key: set OPENAI_ADMIN_KEY")
    words = ("--start", "2026-02-30", "--end", LATEST)
    refused_with(terminal, NO_KEYS, *words, complaint="start '2026-02-30' is not a day: write YYYY-MM-DD")
    of_port = "--push: Port is not configured: set PORT_CLIENT_ID"
    refused_with(terminal, NO_PORT, *RANGE, "--push", complaint=of_port)
    (file := terminal.folder / "connections.toml").write_text(
        "[[connection]]\nname = 'x'\nprovider = 'openai'\nkey = 'sk-admin-sandbox'\n"
    )
    refused_with(terminal, {"USAGE_CONNECTIONS": str(file)}, *RANGE, complaint="a key itself does not belong")
    for text, complaint in {
        "telemetry: [": "while parsing",
        "telemetry: { enabled: maybe }": "Invalid scalar at path root:telemetry:enabled.",
        "run_storage: { module: usage_assets.gone, class: Storage }": "No module named 'usage_assets.gone'",
        "storage: { sqlite: { base_dir: { env: IS_NOT_SET } } }": 'environment variable "IS_NOT_SET" which is not set',
        "- telemetry": "to parse to dictionary",
        "telemetry: \xff": "'utf-8' codec can't decode byte 0xff",
    }.items():
        (terminal.folder / "home" / "dagster.yaml").write_text(text, encoding="latin-1")
        refused(terminal, *RANGE, complaint=complaint)
    refused(terminal, *RANGE, "--connection", "\udcff", complaint=r"'\udcff': is not UTF-8, and DuckDB")
    (gone := terminal.folder / "gone\udcff").mkdir()
    monkeypatch.chdir(gone)
    refused(terminal, *RANGE, complaint=r"gone\udcff': is not UTF-8, and DuckDB reads nothing else")
    gone.rmdir()
    refused(terminal, *RANGE, complaint="the current folder was deleted: change to one that exists")


def test_a_database_that_cannot_be_opened_gets_one_line_and_stays(terminal: Terminal) -> None:
    """A folder, a file that is no database, and one that another process holds, which is named."""
    database = terminal.database
    database.mkdir()
    refused(terminal, *RANGE, complaint=f"{database}: ")
    database.rmdir()
    database.write_text("accounts payable\n" * 1000)
    refused(terminal, *RANGE, complaint=f"{database}: ")
    assert database.read_text() == "accounts payable\n" * 1000
    database.unlink()
    duckdb.connect(str(database)).close()
    with holding(database) as holder:
        refused(terminal, *RANGE, complaint=f"in use by another process (PID {holder.pid}")


def test_a_blueprint_that_port_refuses_gets_one_line_and_nothing_is_fetched(terminal: Terminal) -> None:
    conflicting = {
        "identifier": "openai_daily_usage",
        "title": "theirs",
        "schema": {"properties": {"total_requests": {"type": "string"}}, "required": []},
    }
    with port_user(terminal.sandbox) as user:
        user.call("POST", "/blueprints", conflicting)
    refused(terminal, *RANGE, "--push", complaint="openai_daily_usage.total_requests is string property there")


def refused(terminal: Terminal, *words: str, complaint: str) -> None:
    """Type a backfill that must be refused: one line, exit code 2, nothing asked, nothing stored, no run."""
    assert complaint in refusal(terminal.type("backfill", *words)), words
    assert all(request["path"].startswith("/port/") for request in terminal.sandbox.requests())


def refused_with(terminal: Terminal, variables: Mapping[str, str | None], *words: str, complaint: str) -> None:
    """Type it where some variables are set, or are not."""
    with pytest.MonkeyPatch.context() as patch:
        set_all(patch, variables)
        refused(terminal, *words, complaint=complaint)


# The sandbox


def test_where_the_sandbox_is_not_installed_one_line_says_how_it_is(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "usage_assets_sandbox.app", None)
    said = terminal.type("sandbox")
    assert (said.code, said.out) == (2, "")
    assert said.complaints == [
        "usage-assets: the sandbox is not installed; in a checkout of usage-assets: pip install ./usage_assets_sandbox"
    ]


def test_the_sandbox_says_where_it_listens_and_prints_an_env_file_for_itself(terminal: Terminal) -> None:
    with terminal.start("sandbox", "--seed", "11", "--now", "2026-11-20T08:00:00Z") as run:
        assert run.stdout
        address = run.stdout.readline().split()[-1]
        health = httpx.get(f"{address}/control/health").json()
        run.terminate()
        printed = dotenv_values(stream=StringIO(run.stdout.read()))
    assert health == {"ok": True, "now": "2026-11-20T08:00:00Z"}
    wanted = sandbox_environment(address, terminal.database)
    assert printed == {name: value for name, value in wanted.items() if not name.startswith("USAGE_")}


def test_a_taken_port_and_a_bad_time_get_one_line(terminal: Terminal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = terminal.type("sandbox", "--port", str(taken.getsockname()[1]))
    assert (said.code, len(said.complaints)) == (2, 1)
    said = terminal.type("sandbox", "--now", "noon")
    assert said.code == 2
    assert said.complaints == ["usage-assets: --now 'noon' is not an ISO 8601 time, such as 2026-11-20T08:00:00Z"]
