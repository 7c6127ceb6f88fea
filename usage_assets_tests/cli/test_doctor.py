"""What the doctor finds: each fault with what to do, nothing changed, no secret shown."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import duckdb
import pytest
import time_machine
from dagster._core.events import EngineEventData
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.utils import make_new_run_id
from dagster._daemon.types import DaemonHeartbeat
from dagster_shared.error import SerializableErrorInfo

from usage_assets.automation.due_runs import Cursor, Trouble, Work
from usage_assets.cli import doctor as command
from usage_assets.cli.doctor import MIB, NOTHING_IS_LOST, TIME_TO_BE_HEARD_OF
from usage_assets.config.accounting import Person
from usage_assets.config.settings import Settings
from usage_assets.providers.anthropic.reports import CostReport
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai_legacy.billing import BillingUsage as LegacyUsage
from usage_assets.warehouse.published import copy_of, draft_of, publish
from usage_assets_tests.alone import needs
from usage_assets_tests.end_to_end.conftest import fill_once, with_endpoints
from usage_assets_tests.fixtures import NO_KEYS, NOW, NewWarehouse, execute, last_days
from usage_assets_tests.models.days import Days, raw
from usage_assets_tests.models.stated import known, listed, stating
from usage_assets_tests.terminal import Terminal, examined, finding, holding

YESTERDAY = str(last_days(1)[0])
TEN_DAYS_AGO = "2026-11-10"


@pytest.fixture
def chatgpt(terminal: Terminal) -> Terminal:
    """The same, with one connection: for what is not about connections."""
    terminal.set(OPENAI_ADMIN_KEY=None, ANTHROPIC_ADMIN_KEY=None)
    return terminal


@pytest.fixture(scope="module")
def backfill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where what yesterday's backfill leaves behind is kept."""
    return tmp_path_factory.mktemp("backfilled") / "kept"


@pytest.fixture
def backfilled(chatgpt: Terminal, backfill: Path, warehouse_with_views: NewWarehouse) -> Terminal:
    """The same, after yesterday was backfilled. It is once, and copied then."""

    def fill() -> None:
        warehouse_with_views(chatgpt.folder)
        day = ("--start", YESTERDAY, "--end", YESTERDAY)
        assert chatgpt.type("backfill", *day, "--connection", "chatgpt").code == 0

    fill_once(backfill, chatgpt.folder, fill)
    return chatgpt


def test_a_healthy_setup_has_no_fault(backfilled: Terminal) -> None:
    terminal = backfilled
    terminal.set({name: terminal.environment[name] for name in ("OPENAI_ADMIN_KEY", "ANTHROPIC_ADMIN_KEY")})
    terminal.type("port", "provision")
    said = examined(terminal)
    assert said.code == 0
    assert not [line for line in said.lines if line.startswith("FAIL")]
    accepted = Counter(line.split()[2] for line in said.lines if "key accepted (" in line)
    assert accepted == {"openai:": 11, "anthropic:": 3, "chatgpt:": 1}
    assert "OK    connection openai: costs: key accepted (OPENAI_ADMIN_KEY)" in said.lines
    assert "OK    Port: 17 of 17 blueprints are ready" in said.lines
    assert f"OK    table chatgpt.codex_usage: 1 day of chatgpt, the newest is {YESTERDAY}" in said.lines
    assert "is writable and free" in finding(said, str(terminal.database))
    assert "OK    connection chatgpt: 1 day unpushed" in finding(said, "Port does not have it")
    pushed = terminal.type("backfill", "--due", "--push", "--connection", "chatgpt")
    assert (pushed.code, "Port does not have it" in pushed.err) == (0, True), pushed
    assert terminal.type("backfill", "--due", "--push", "--connection", "chatgpt").lines == ["no day is due"]


def test_what_is_not_there_yet_is_a_warning_and_what_is_well_is_one_line_unless_it_is_asked_for(
    chatgpt: Terminal,
) -> None:
    everything, short = examined(chatgpt), chatgpt.type("doctor")
    assert f"WARN  warehouse: {chatgpt.database} does not exist yet: the first run makes it" in everything.lines
    assert not chatgpt.database.exists()
    assert "published copy" not in everything.out, "there is nothing yet to publish"
    daemon = finding(everything, "its daemon")
    assert daemon.startswith("WARN  Dagster: its daemon is not running and never was")
    assert finding(everything, "webhook: ") == (
        "WARN  webhook: failed runs and checks are posted nowhere: USAGE_WEBHOOK_URL is not set"
    )
    well = [line for line in everything.lines if line.startswith("OK ")]
    found = json.loads(chatgpt.type("doctor", "--json").out)
    assert f"{chatgpt.database} does not exist yet: the first run makes it" in [each["text"] for each in found]
    begins = [f"{each['level']:<5} {each['subject']}: " for each in found]
    assert all(line.startswith(begin) for line, begin in zip(everything.lines[:-1], begins, strict=True))
    assert short.code == everything.code
    assert short.lines[:-1] == [line for line in everything.lines[:-1] if line not in well]
    assert short.lines[-1] == f"{everything.lines[-1]} (--all lists them)"
    assert everything.lines[-1].endswith(f"warnings, {len(well)} OK")


def test_nothing_is_changed_and_each_endpoint_that_is_on_is_asked_for_one_day(terminal: Terminal) -> None:
    """Beside variables that the .env file contradicts. They are named without their values."""
    same, others = "ANTHROPIC_ADMIN_KEY=sk-ant-admin-sandbox", "OPENAI_ADMIN_KEY=\nDAGSTER_HOME=/elsewhere"
    (terminal.folder / ".env").write_text(f"{same}\n{others}\nOTHER=1\n")
    terminal.set(OTHER="2")
    said = examined(terminal)
    assert finding(said, "differ between").startswith(
        "WARN  environment: DAGSTER_HOME, OPENAI_ADMIN_KEY differ between"
    )
    off = "OK    connection openai: usage_decisions is switched off by default"
    assert finding(said, "usage_decisions") == off
    requests = terminal.sandbox.requests()
    asked = [request["path"] for request in requests if not request["path"].startswith("/port/")]
    assert len(asked) == 16, "one request an endpoint, two for the two queries of codex_usage"
    assert all(request["method"] == "GET" for request in requests if "auth" not in request["path"])
    assert "OK    blueprint openai_daily_usage: does not exist yet, the first push creates it" in said.lines
    assert "OK    Port: 0 of 17 blueprints are ready" in said.lines


def test_a_refused_key_is_a_fault_with_advice(terminal: Terminal) -> None:
    terminal.set(OPENAI_ADMIN_KEY="sk-admin-wrong")
    said = examined(terminal)
    assert said.code == 1
    assert "sk-admin-wrong" not in said.out
    assert finding(said, "anthropic: cost_report").startswith("OK")
    failed = said.lines[0]
    assert failed.startswith(
        "FAIL  connection openai: costs, usage_completions, usage_embeddings and 8 more: openai costs"
    )
    assert "starts with sk-admin-. The key is that of OPENAI_ADMIN_KEY. Until then" in failed
    assert f"Until then no report is refreshed. {NOTHING_IS_LOST}" in failed
    assert len([line for line in said.lines if line.startswith("FAIL")]) == 1, "problems come first"
    warnings = [line for line in said.lines if line.startswith("WARN")]
    assert said.lines[1 : len(warnings) + 1] == warnings
    well = [line for line in said.lines if line.startswith("OK")]
    assert said.lines[-1] == f"1 problem, {len(warnings)} warnings, {len(well)} OK"


def test_an_endpoint_that_is_not_enabled_does_not_hide_the_others_and_a_late_one_is_no_fault(
    terminal: Terminal,
) -> None:
    until_yesterday = {"do": "set", "path": "data_refreshed_at", "to": f"{YESTERDAY}T00:00:00Z"}
    terminal.sandbox.faults(
        {"route": "GET /anthropic/v1/organizations/usage_report/claude_code", "fault": "status", "status": 403},
        {"route": "GET /chatgpt", "fault": "edit", "operations": [until_yesterday]},
    )
    said = examined(terminal)
    assert f"codex_usage: key accepted (CHATGPT_ANALYTICS_KEY); {YESTERDAY} is not there yet" in said.out
    assert said.code == 1
    assert finding(said, "anthropic: claude_code").startswith("FAIL  connection anthropic: claude_code: ")
    assert finding(said, "usage_messages").startswith("OK")


def test_without_any_key_the_variables_are_named(terminal: Terminal) -> None:
    terminal.set(NO_KEYS)
    said = examined(terminal)
    assert (said.code, len(said.lines)) == (1, 2), "nothing else matters yet"
    line = finding(said, "OPENAI_ADMIN_KEY")
    assert line.startswith("FAIL  setup: no account is connected yet: set one of OPENAI_ADMIN_KEY, ANTHROPIC_ADMIN_KEY")
    terminal.set(ANTHROPIC_ADMIN_KEY="sk-ant-admin")
    duckdb.connect(str(terminal.database)).close()
    assert "setup" not in examined(terminal).out


def test_a_broken_connections_file_is_a_fault_and_the_rest_is_examined(terminal: Terminal) -> None:
    (terminal.folder / "connections.toml").write_text("[[connection]\n")
    terminal.set(USAGE_CONNECTIONS="connections.toml")
    said = examined(terminal)
    assert said.code == 1
    assert "FAIL  connections: USAGE_CONNECTIONS: connections.toml: not a TOML file" in said.out
    assert "warehouse" in said.out


def test_costs_that_are_switched_off_are_told_of_once_and_what_is_removed_is_no_fault(
    terminal: Terminal, warehouse_with_views: NewWarehouse
) -> None:
    days = Days(warehouse_with_views(terminal.folder))
    terminal.set(NO_KEYS, USAGE_CONNECTIONS="connections.toml")
    (terminal.folder / "key").write_text("sk-ant-admin-sandbox")
    entry = "[[connection]]\nname = 'anthropic'\nprovider = 'anthropic'\nkey = 'file:key'\n"
    with_costs, without = (
        f"{entry}endpoints = {{ usage_messages = false, claude_code = {on}, cost_report = {off} }}\n"
        for on, off in (("false", "true"), ("true", "false"))
    )
    day = TEN_DAYS_AGO
    days.spent(CostReport, raw(CostReport, usage_date=date.fromisoformat(day)), first=date.fromisoformat(day))
    (terminal.folder / "connections.toml").write_text(without)
    said = examined(terminal)
    assert finding(said, "is switched off;") == (
        f"WARN  table costs.daily_costs: 1 day of anthropic, anthropic.cost_report, the newest is {day}: nothing "
        "refreshes them, because their endpoint is switched off; they stay in the views, in Port and in exports"
    )
    assert "never fetched" in finding(said, "connection anthropic: due"), "what is on is fetched"
    (terminal.folder / "connections.toml").write_text(with_costs.replace("anthropic'\nprovider", "another'\nprovider"))
    said = examined(terminal)
    assert finding(said, "costs.daily_costs: 1 day of anthropic, anthropic.cost_report") == (
        f"OK    table costs.daily_costs: 1 day of anthropic, anthropic.cost_report, the newest is {day}: nothing "
        "refreshes them"
    )


def test_a_copy_that_is_of_now_or_will_be_is_no_fault_and_one_that_stays_behind_is(chatgpt: Terminal) -> None:
    copy = copy_of(chatgpt.database)
    with chatgpt.warehouse.transaction():
        pass
    line = finding(examined(chatgpt), "published copy")
    made = "a run makes it when it ends, or with the first rows of usage-assets backfill --due"
    assert line == f"WARN  published copy: {copy} does not exist yet: {made}"
    changed = NOW - timedelta(hours=2)
    os.utime(chatgpt.database, (changed.timestamp(), changed.timestamp()))
    publish(chatgpt.warehouse)
    assert finding(examined(chatgpt), "published copy") == (
        f"OK    published copy: {copy} holds what was stored by 2026-11-20 06:00 UTC, which is everything"
    )
    changed = NOW - timedelta(minutes=119)
    os.utime(chatgpt.database, (changed.timestamp(), changed.timestamp()))
    assert finding(examined(chatgpt), "published copy") == (
        f"WARN  published copy: {copy} holds what was stored by 2026-11-20 06:00 UTC; the database was changed "
        f"at {changed:%Y-%m-%d %H:%M} UTC: the next run publishes that when it ends"
    )


def test_a_webhook_and_port_are_told_of_and_never_where_the_one_is_nor_the_secret_of_the_other(
    chatgpt: Terminal,
) -> None:
    chatgpt.set(USAGE_WEBHOOK_URL="http://hooks.example/secret-token", PORT_CLIENT_SECRET="wrong-secret")
    said = examined(chatgpt)
    assert finding(said, "webhook: ").startswith("FAIL  webhook: USAGE_WEBHOOK_URL: must look like https://")
    assert "hooks.example" not in said.out
    chatgpt.set(USAGE_WEBHOOK_URL="https://hooks.example/secret-token")
    said = examined(chatgpt)
    assert finding(said, "webhook: ") == "OK    webhook: failed runs and checks are posted to it (USAGE_WEBHOOK_URL)"
    assert "OK    sensor webhook_sensor: is running, and has had nothing to do yet" in said.lines
    assert "hooks.example" not in said.out
    line = finding(said, "Port")
    assert line.startswith("FAIL  Port: Port answered 401")
    assert "check PORT_CLIENT_ID and PORT_CLIENT_SECRET" in line
    assert "wrong-secret" not in said.out


def test_a_database_that_cannot_be_opened_is_a_fault_and_so_is_a_missing_home_and_port_without_keys_a_warning(
    chatgpt: Terminal,
) -> None:
    chatgpt.set(dict.fromkeys(("DAGSTER_HOME", "PORT_CLIENT_ID", "PORT_CLIENT_SECRET")))
    duckdb.connect(str(chatgpt.database)).close()
    with holding(chatgpt.database) as holder:
        line = finding(examined(chatgpt), "warehouse")
    assert line.startswith("FAIL")
    assert f"PID {holder.pid}" in line
    chatgpt.database.write_text("accounts payable\n" * 1000)
    said = examined(chatgpt)
    assert finding(said, "warehouse").startswith(f"FAIL  warehouse: {chatgpt.database}: ")
    assert finding(said, "DAGSTER_HOME").startswith("FAIL  Dagster: DAGSTER_HOME: not set")
    assert finding(said, "Port: ").startswith("WARN  Port: nothing is pushed")


def test_a_table_that_no_run_can_write_is_a_fault(backfilled: Terminal) -> None:
    execute(backfilled.warehouse, "alter table chatgpt.codex_usage alter column threads type varchar")
    line = finding(examined(backfilled), "differs from its declaration")
    assert line.startswith(
        "FAIL  table: chatgpt.codex_usage: differs from its declaration: threads is VARCHAR, not BIGINT"
    )
    execute(backfilled.warehouse, line.partition("to mend it: ")[2])
    assert "FAIL" not in examined(backfilled).out
    with backfilled.warehouse.transaction() as database:
        database.execute("alter table chatgpt.codex_usage rename to kept")
        database.execute("create view chatgpt.codex_usage as from chatgpt.kept")
    said = examined(backfilled)
    line = finding(said, "is a view")
    assert line == (
        "FAIL  table: chatgpt.codex_usage: is a view where a table belongs: rename or drop it, and run these days again"
    )
    execute(backfilled.warehouse, "drop view costs.by_month; create table costs.by_month (a int)")
    assert finding(examined(backfilled), "costs.by_month").startswith("FAIL  view: costs.by_month: is a table where")
    execute(backfilled.warehouse, "update ledger.statements set release = '99.1.0'")
    assert finding(examined(backfilled), "release 99.1.0").startswith("FAIL  warehouse: release 99.1.0 of usage-assets")


def test_a_disk_without_room_for_a_run_is_a_fault(backfilled: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    in_the_way = [draft_of(backfilled.database), backfilled.database.with_name("report.html")]
    for path in in_the_way:
        path.mkdir()
    said = examined(backfilled).out
    for path in in_the_way:
        assert f"FAIL  disk: {path} is a folder, and a run writes there: `mv " in said
        path.rmdir()
    size = backfilled.database.stat().st_size
    monkeypatch.setattr(command, "disk_usage", lambda _: shutil.disk_usage("/")._replace(free=size + 63 * MIB))
    line = finding(examined(backfilled), "disk: ")
    assert line.startswith(f"FAIL  disk: {backfilled.folder} has ")
    monkeypatch.setattr(command, "disk_usage", lambda _: shutil.disk_usage("/")._replace(free=size + 65 * MIB))
    assert "disk: " not in examined(backfilled).out
    monkeypatch.setattr(os, "access", lambda path, _: path != backfilled.folder)
    line = finding(examined(backfilled), "disk: ")
    assert line.startswith(f"FAIL  disk: {backfilled.folder} cannot be written by the user of this command: ")


def test_due_days_of_a_connection_are_one_warning_that_says_who_fetches_them(backfilled: Terminal) -> None:
    terminal = backfilled
    backfilled.set(USAGE_START_DATE=TEN_DAYS_AGO)
    before = terminal.database.read_bytes()

    def due(with_history: str) -> list[str]:
        backfilled.set(USAGE_BACKFILL_HISTORY=with_history)
        return [line for line in examined(terminal).lines if "chatgpt: " in line and "missing" in line]

    by_hand = "Start Dagster (make run), or run usage-assets backfill --due"
    [line] = due("true")
    warning, _, advice = line.partition(" never fetched. ")
    assert warning == "WARN  connection chatgpt: due: 9 days missing (2026-11-10 to 2026-11-18):"
    assert advice == by_hand
    left_to_you = "USAGE_BACKFILL_HISTORY=false leaves them to you: usage-assets backfill --due"
    assert due("false") == [
        f"WARN  connection chatgpt: due: 6 days missing (2026-11-13 to 2026-11-18): never fetched. {by_hand}",
        f"OK    connection chatgpt: 3 days missing (2026-11-10 to 2026-11-12): never fetched. {left_to_you}",
    ]
    with dg.DagsterInstance.get() as instance:
        instance.add_daemon_heartbeat(DaemonHeartbeat(NOW.timestamp(), "SENSOR", "id", []))
    assert due("true") == [f"{warning} never fetched. due_days_sensor has them run (Automation page of the UI)"]
    assert terminal.database.read_bytes() == before, "doctor changes nothing"


def test_places_that_silent_runs_hold_are_a_fault(chatgpt: Terminal) -> None:
    with dg.DagsterInstance.get() as instance:
        runs = [dg.DagsterRun("usage", make_new_run_id(), status=dg.DagsterRunStatus.STARTED) for _ in range(4)]
        for run in runs:
            instance.add_run(run)
            instance.report_engine_event("Started process for run.", run, EngineEventData.in_process(os.getpid()))
        assert finding(examined(chatgpt), "places for runs") == (
            "OK    Dagster: all 4 places for runs are taken, other runs wait"
        )
        with subprocess.Popen([sys.executable, "-c", ""]) as gone:
            gone.wait()
        instance.report_engine_event("Started process for run.", runs[0], EngineEventData.in_process(gone.pid))
    chatgpt.set(USAGE_UI_URL="http://dagster.internal:3000")
    with time_machine.travel(NOW + TIME_TO_BE_HEARD_OF + timedelta(minutes=1)):
        line = finding(examined(chatgpt), "places for runs")
    assert line.startswith("FAIL  Dagster: all 4 places for runs are taken and none of these runs has logged anything")
    assert f"http://dagster.internal:3000/runs/{runs[0].run_id}" in line


def test_schedules_and_sensors_are_running_unless_a_person_says_otherwise_and_a_failed_tick_is_a_fault(
    chatgpt: Terminal,
) -> None:
    failing = state_of("weekly_reconcile_schedule", InstigatorStatus.DECLARED_IN_CODE)
    at = int(NOW.timestamp())
    failed = {"codex_usage": Trouble(2, at, "401: Incorrect API key"), "users": Trouble(1, at - 700, "over since")}
    pushed = {"codex/port_sync": Trouble(1, at, "Port fails")}
    work = {"chatgpt": Work(assets_aside=failed), "codex": Work(assets_aside=pushed)}
    data = SensorInstigatorData(cursor=Cursor(work=work).encode())
    origin = state_of("due_days_sensor", InstigatorStatus.DECLARED_IN_CODE).origin
    resting = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.DECLARED_IN_CODE, data)
    with dg.DagsterInstance.get() as instance:
        stopped = [state_of(f"daily_{name}_schedule", InstigatorStatus.STOPPED) for name in ("completeness", "usage")]
        for state in (*stopped, failing, resting):
            instance.add_instigator_state(state)
        error = SerializableErrorInfo("SettingsError: USAGE_SCHEDULE is odd\n", [], "SettingsError")
        instance.create_tick(tick_of(failing, TickStatus.FAILURE, error))
    said = examined(chatgpt)
    assert finding(said, "daily_usage_schedule") == (
        "WARN  schedules daily_usage_schedule, daily_completeness_schedule: are stopped: start them on the Automation "
        "page of the UI"
    )
    weekly = finding(said, "weekly_restatement_schedule")
    assert weekly.startswith("OK    schedule weekly_restatement_schedule: is running")
    assert finding(said, "port_changed_partitions_sensor").startswith("OK    sensor port_changed_partitions_sensor: is")
    assert finding(said, "weekly_reconcile_schedule") == (
        "FAIL  schedule weekly_reconcile_schedule: its last tick (2026-11-20 08:00 UTC) failed: "
        "SettingsError: USAGE_SCHEDULE is odd"
    )
    assert finding(said, "rest: codex_usage") == (
        "WARN  connection chatgpt: failed and rest: codex_usage (401: Incorrect API key). The next attempt is at "
        "2026-11-20 08:20 UTC, or now: usage-assets backfill --due --connection chatgpt"
    ), "a key may have been mended, and the sensor knows of it only when it tries again"
    assert finding(said, "Port fails").endswith("or now: usage-assets backfill --due --connection codex --push")


def test_states_of_the_locations_of_a_workspace_are_ours(chatgpt: Terminal) -> None:
    """A workspace.yaml of one's own may call the code location otherwise."""
    with dg.DagsterInstance.get() as instance:
        instance.add_instigator_state(state_of("daily_usage_schedule", InstigatorStatus.STOPPED, location="mine"))
    place = "{python_module: {module_name: usage_assets.definitions, location_name: mine}}"
    (chatgpt.folder / "workspace.yaml").write_text(f"load_from: [{place}]")
    assert "is stopped: start it" in finding(examined(chatgpt), "daily_usage_schedule")


def tick_of(state: InstigatorState, status: TickStatus, error: SerializableErrorInfo | None = None) -> TickData:
    """A tick of now."""
    name, kind = state.instigator_name, state.instigator_type
    origin, now = state.instigator_origin_id, NOW.timestamp()
    return TickData(origin, name, kind, status, now, error=error, selector_id=state.selector_id)


def test_times_to_come_are_named_after_the_clock_was_set_back(backfilled: Terminal) -> None:
    """Sensors go on: local/test_clock.py. What is stored says so also where Dagster never ran."""
    schedule = state_of("daily_usage_schedule", InstigatorStatus.RUNNING)
    origin = RemoteInstigatorOrigin(schedule.origin.repository_origin, "due_days_sensor")
    ticked = SensorInstigatorData(last_tick_timestamp=NOW.timestamp(), cursor="read up to here")
    sensor = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, ticked)
    with dg.DagsterInstance.get() as instance:
        for state in (schedule, sensor):
            instance.add_instigator_state(state)
            instance.create_tick(tick_of(state, TickStatus.SKIPPED))
        instance.add_daemon_heartbeat(DaemonHeartbeat(NOW.timestamp(), "SENSOR", "id", []))
    now, later = examined(backfilled), "2026-11-20 08:00 UTC, is still to come: the clock was set back."
    assert "set back" not in now.out
    with time_machine.travel(NOW - timedelta(days=1)):
        before = examined(backfilled)
    assert [line for line in before.lines if "set back" in line] == [
        (
            "WARN  warehouse: what was stored at 2026-11-20 07:00 UTC is still to come: the clock was set back, or is "
            "ahead on another host. Set it right (NTP): days that were fetched early are due when they have come"
        ),
        (
            f"WARN  Dagster: its daemon's last sign of life, {later} It gives the next one then, or when it is "
            "restarted (make run)"
        ),
        (
            f"WARN  schedule daily_usage_schedule: its last tick, {later} It ticks again after that, and what is not "
            "stored until then is due"
        ),
    ]
    assert finding(before, "due_days_sensor").endswith("is running, and has had nothing to do yet")


def state_of(schedule: str, status: InstigatorStatus, *, location: str = "usage_assets") -> InstigatorState:
    """What the UI stores when a person turns a schedule's switch."""
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), "__repository__")
    origin = RemoteInstigatorOrigin(repository, schedule)
    return InstigatorState(origin, InstigatorType.SCHEDULE, status, ScheduleInstigatorData("0 6 * * *"))


def test_what_an_old_connection_bills_is_named_and_removed_where_another_bills_the_same_use(
    terminal: Terminal, warehouse_with_views: NewWarehouse
) -> None:
    warehouse = warehouse_with_views(terminal.folder)
    terminal.set(
        dict.fromkeys(("ANTHROPIC_ADMIN_KEY", "CHATGPT_ANALYTICS_KEY", "PORT_CLIENT_ID", "PORT_CLIENT_SECRET"))
    )
    terminal.set(with_endpoints(terminal.folder, "costs"))
    session, connections = terminal.folder / "session.key", terminal.folder / "connections.toml"
    session.write_text("sess-sandbox")
    of_openai = connections.read_text()
    old = f'name = "old"\nprovider = "openai_legacy"\nkey = "file:{session}"\nstart_date = {YESTERDAY}\n'
    connections.write_text(f"[[connection]]\n{old}")
    [day] = last_days(1)
    bill = raw(LegacyUsage, connection="old", usage_date=day)
    Days(warehouse, Settings.load().accounting()).spent(LegacyUsage, bill, connection="old", first=day)
    connections.write_text(f"{of_openai}[[connection]]\n{old}")
    assert "counted twice" not in examined(terminal).out, "nothing is stored of the other yet"
    Days(warehouse, Settings.load().accounting()).spent(Costs, raw(Costs, usage_date=day), first=day)
    assert finding(examined(terminal), "connections old and openai").endswith(
        " of old is counted twice until usage-assets backfill --due"
    )
    assert terminal.type("backfill", "--connection", "old", "--due").code == 0
    assert "counted twice" not in examined(terminal).out


def test_names_that_may_be_any_model_are_listed_with_their_share(backfilled: Terminal) -> None:
    terminal = backfilled
    assert not [line for line in examined(terminal).lines if " models: " in line]
    with terminal.warehouse.transaction() as database:
        database.execute("update costs.daily_costs set cost_basis = 'billed', model = 'gpt-5', amount_usd = 1")
        one = "rowid = (select min(rowid) from costs.daily_costs)"
        database.execute(f"update costs.daily_costs set model = 'house-model' where {one}")
    for usd, level in ((Decimal(1000), "WARN "), (Decimal("0.01"), "OK   ")):
        with terminal.warehouse.transaction() as database:
            of_house = "update costs.daily_costs set amount_usd = $usd where model = 'house-model'"
            database.execute(of_house, {"usd": usd})
        [line] = [line for line in examined(terminal).lines if " models: " in line]
        assert line.startswith(f"{level} models: ${usd:,.2f} of the last 90 days (")
        assert "may be any model: house-model of chatgpt. They are not added to other names: write a [[model]]" in line


@needs("vendors")
def test_an_id_that_entries_of_several_persons_claim_is_named(
    chatgpt: Terminal, warehouse_with_views: NewWarehouse
) -> None:
    two = [Person(name=name, ids=[f"user-{name}"]) for name in ("ann", "ben")]
    days = stating(Days(warehouse_with_views(chatgpt.folder)), **known(*two, policy="names"))
    days.fetched(Costs, *(raw(Costs, user_id=f"user-{name}") for name in ("ann", "ben", "eve")))
    days.derive("openai_costs")
    for name in ("ann", "ben"):
        listed(days, "openai.users", id=f"user-{name}", email="team@example.com")
    assert not [line for line in examined(chatgpt).lines if "[[person]]" in line]
    listed(days, "openai.users", id="user-eve", email="team@example.com")
    assert finding(examined(chatgpt), "[[person]]") == (
        "WARN  connection openai: several [[person]] entries have the address or id of user-eve: its use stays "
        "unattributed. Name it in the one entry that it belongs to"
    )
