"""The due sensor, tick by tick, over a real warehouse and a real instance whose runs are moved from state to state."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest
import sqlalchemy
from dagster._core.events import EngineEventData
from dagster_shared.error import SerializableErrorInfo

from usage_assets.automation import due_runs
from usage_assets.automation.jobs import ACCOUNTING_JOB
from usage_assets.config.settings import Settings
from usage_assets.core.days import Window
from usage_assets.fetching.transport import PermanentError
from usage_assets.models.connection_graph import seeds_of
from usage_assets.models.due import due_days
from usage_assets.providers.openai.lookups import Projects
from usage_assets.warehouse.late import note_late
from usage_assets_tests.alone import needs
from usage_assets_tests.automation.daemon import (
    COSTS,
    IMAGES,
    Daemon,
    daemon,
    days,
    empty,
    folder,
    kept,
    openai,
    window_of,
)
from usage_assets_tests.fixtures import NOW, execute
from usage_assets_tests.warehouse.processes import held_by_another

__all__ = ["daemon", "empty", "folder", "kept"]

CODEX = """
[[connection]]
name = "codex"
provider = "chatgpt"
key = "env:A_KEY"
workspace_id = "ws"
start_date = 2026-11-16
"""
OWNER = """
[[owner]]
project = "p1"
team = "web"
valid_from = 2026-11-18
"""
BUDGET = """
[[budget]]
name = "all"
amount = 100
"""
"""An entry that stays: a file without any removes none that are stored."""
WHOLE = "openai 2026-11-12..2026-11-19"
NOTHING = "no day is missing or stale"


COPILOT = """
[[connection]]
name = "copilot"
provider = "github_copilot"
key = "env:A_KEY"
organization = "acme"
start_date = 2026-11-18
endpoints = { billing_usage = false, users_1_day = false, organization_1_day = false, seats = false }
"""


# What is asked for


def test_each_changed_day_of_all_costs_is_told_of_once(daemon: Daemon) -> None:
    """Whatever wrote it: here, no run of Dagster did."""
    daemon.load_finished(openai(on=COSTS))
    daemon.cursor = None
    daemon.tick()
    before = daemon.told
    assert [*before] == [str(day) for day in Window(date(2026, 11, 12), date(2026, 11, 19)).days]
    daemon.later(minutes=1)
    daemon.store(Window(date(2026, 11, 14), date(2026, 11, 14)))
    daemon.tick()
    assert not daemon.told, "the same was stored once more"
    daemon.amounts[date(2026, 11, 14)] = Decimal(2)
    daemon.store(Window(date(2026, 11, 13), date(2026, 11, 14)))
    daemon.tick()
    assert [*daemon.told] == ["2026-11-14"]
    assert daemon.told["2026-11-14"] != before["2026-11-14"]
    daemon.tick()
    assert not daemon.told
    daemon.later(minutes=-5)  # the clock of another host
    daemon.amounts[date(2026, 11, 16)] = Decimal(3)
    daemon.store(Window(date(2026, 11, 16), date(2026, 11, 16)))
    daemon.tick()
    assert "2026-11-16" in daemon.told
    daemon.tick()
    assert not daemon.told


def test_a_new_connections_history_is_fetched_and_computed_once(daemon: Daemon) -> None:
    """Where there is no database yet."""
    daemon.file.unlink()
    daemon.queue("port_sync", {"usage_assets/connection": "openai"}, [dg.AssetKey(["openai", "port_sync"])])
    assert daemon.tick() == [WHOLE], "pushes are not waited for"
    [run] = [run for run in daemon.under_way() if window_of(run.tags)]
    assert run.tags["dagster/priority"] == "-10"
    assert all(key.path[0] == "openai" for key in run.asset_selection or ())
    assert daemon.tick() == [], "one run of a connection at a time"
    whole = "2026-11-12 to 2026-11-19"
    assert daemon.said == f"under way: openai {whole}; due: openai 8 days missing ({whole}): never fetched"
    daemon.succeed()
    assert daemon.tick() == []
    assert daemon.said == NOTHING
    assert daemon.due() == {}


def test_the_newest_days_come_first_and_a_run_has_at_most_186_of_those_that_the_provider_has(daemon: Daemon) -> None:
    daemon.load(openai("2025-01-01", on=IMAGES))
    assert daemon.finish() == ["openai 2026-05-18..2026-11-19", "openai 2025-11-20..2026-05-17"]


def test_a_day_is_missing_only_after_the_daily_schedule_had_its_time(daemon: Daemon) -> None:
    daemon.load_finished(openai(on=IMAGES))
    daemon.clock.move_to(datetime(2026, 11, 21, 6, 59, tzinfo=UTC))
    assert daemon.tick() == []
    daemon.clock.move_to(datetime(2026, 11, 21, 7, 1, tzinfo=UTC))
    assert daemon.tick() == ["openai 2026-11-20..2026-11-20"]


def test_days_that_the_daily_schedule_has_not_read_again_are_asked_for(daemon: Daemon) -> None:
    daemon.load_finished(openai(on=IMAGES))
    daemon.later(hours=25)
    daemon.store(days("20"))
    assert daemon.tick() == []
    daemon.later(hours=2)
    assert daemon.tick() == [WHOLE]


def test_history_can_be_left_to_people_but_nothing_stale(daemon: Daemon) -> None:
    daemon.load(openai("2026-11-01", on=COSTS), usage_backfill_history=False)
    assert daemon.finish() == ["openai 2026-11-13..2026-11-19"], "what the daily schedule would fetch"
    daemon.amounts[date(2026, 11, 14)] = Decimal(4)
    daemon.store(days("14"), {"openai/costs"})
    assert daemon.finish() == ["openai 2026-11-14..2026-11-14"]


def test_a_connection_without_a_key_is_not_asked(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("A_KEY")
    daemon.load(openai())
    assert daemon.tick() == []
    assert daemon.definitions.resolve_sensor_def("due_days_sensor").default_status is dg.DefaultSensorStatus.STOPPED


# What is stale


def test_a_command_in_a_terminal_without_all_keys_takes_no_connection_from_the_sensor(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("B_KEY", "of the service only")
    daemon.load_finished(openai(on=IMAGES) + CODEX.replace("A_KEY", "B_KEY"))
    daemon.later(minutes=1)
    with monkeypatch.context() as terminal:
        terminal.delenv("B_KEY")
        of_terminal = Settings.load(_env_file=None, usage_connections=daemon.settings.usage_connections)
        assert {due.connection for due in due_days(daemon.warehouse, seeds_of(of_terminal))} == {"openai"}
    daemon.later(days=1)
    assert daemon.tick() == ["openai 2026-11-20..2026-11-20", "codex 2026-11-20..2026-11-20"]


def test_a_changed_owner_makes_stale_only_the_teams_of_the_days_that_it_covers(daemon: Daemon) -> None:
    daemon.load_finished(openai(on=COSTS))
    daemon.load(openai(on=COSTS) + OWNER)
    assert daemon.due() == {"openai": ["2 days stale (2026-11-18 to 2026-11-19): owners changed"]}
    assert daemon.tick() == ["accounting", "openai 2026-11-18..2026-11-19"]
    selected = {key for run in daemon.under_way() for key in run.asset_selection or ()}
    assert dg.AssetKey(["openai", "entities", "ai_team_cost"]) in selected
    assert dg.AssetKey(["openai", "entities", "ai_user_cost"]) not in selected
    daemon.succeed()
    assert daemon.finish() == []
    daemon.load(openai(on=COSTS) + BUDGET)
    assert daemon.finish() == ["accounting", "openai 2026-11-18..2026-11-19"], "also when it is taken back"


def test_an_id_that_is_listed_after_its_costs_gets_its_name(daemon: Daemon) -> None:
    daemon.load(openai(on=COSTS))
    daemon.ids[date(2026, 11, 17)] = {"project_id": "late"}
    daemon.look_up(known="Known")
    daemon.finish()
    daemon.later(minutes=1)
    daemon.look_up(known="Known", late="Late", unused="Unused")
    assert daemon.due() == {"openai": [f"3 days stale (2026-11-17 to 2026-11-19): names in {Projects.table} changed"]}
    assert daemon.tick() == ["openai 2026-11-17..2026-11-19"]
    (run,) = daemon.under_way()
    assert run.asset_selection == {dg.AssetKey(["openai", "entities", "ai_cost_record"])}
    daemon.succeed()
    assert daemon.finish() == []
    titles = "select title from port_entities.ai_cost_record where usage_date = '2026-11-17'"
    assert daemon.warehouse.read(titles)["title"].to_pylist() == ["OpenAI - Late - no model - 2026-11-17"]


def test_another_release_computes_what_it_computes_otherwise(daemon: Daemon) -> None:
    daemon.load_finished(openai(on=COSTS))
    execute(
        daemon.warehouse,
        'update ledger.partition_versions set inputs = replace(inputs, \'"query":"\', \'"query":"0\') '
        "where table_name = 'costs.daily_costs'",
    )
    assert daemon.due() == {"openai": ["8 days stale (2026-11-12 to 2026-11-19): the query has changed"]}
    assert daemon.finish() == [WHOLE]


def test_days_of_a_release_that_recorded_no_inputs_are_computed_once_and_not_fetched(daemon: Daemon) -> None:
    daemon.load_finished(openai(on=COSTS))
    execute(daemon.warehouse, "update ledger.partition_versions set inputs = null, question = null")
    assert daemon.due() == {"openai": ["8 days stale (2026-11-12 to 2026-11-19): an earlier release computed it"]}
    assert daemon.tick() == [WHOLE]
    (run,) = daemon.under_way()
    assert dg.AssetKey(["openai", "costs"]) not in (run.asset_selection or ())
    daemon.succeed()
    assert daemon.finish() == []


OTHER_QUESTIONS: Mapping[str, set[str]] = {
    'project = "proj_2"': {"openai/costs", "openai/usage_completions"},
    'filters = { models = ["gpt-5"] }': {"openai/usage_completions"},
    'base_url = "https://gateway.example"': set(),
}
"""What is added to a connection -> the reports that are asked for again."""


def test_days_that_answer_another_question_are_fetched_again(daemon: Daemon) -> None:
    for more, stale in OTHER_QUESTIONS.items():
        daemon.load_finished()
        daemon.load(openai(more=more))
        assert daemon.tick() == ([WHOLE] if stale else []), more
        asked = {key.to_user_string() for run in daemon.under_way() for key in run.asset_selection or ()}
        assert asked & {"openai/costs", "openai/usage_completions"} == stale, more
        daemon.succeed()
        assert daemon.finish() == [], more


def test_a_day_that_was_computed_before_it_was_over_is_due_once_it_has_its_partition(daemon: Daemon) -> None:
    daemon.load_finished(openai(on=COSTS), usage_include_today=True)
    daemon.store(days("20"))
    daemon.later(minutes=1)
    daemon.amounts[date(2026, 11, 20)] = Decimal(2)
    daemon.store(days("20"), {"openai/costs"})
    daemon.load(openai(on=COSTS), usage_include_today=False)
    assert daemon.finish() == []
    daemon.clock.move_to(datetime(2026, 11, 21, 0, 1, tzinfo=UTC))
    assert daemon.finish() == ["openai 2026-11-20..2026-11-20"]


# Lost databases


def test_days_that_came_from_the_archive_alone_are_asked_for_once_their_answers_are_old(daemon: Daemon) -> None:
    daemon.load(openai(on=IMAGES))
    with daemon.from_archive(NOW - timedelta(hours=7)):
        daemon.store(days("12", "19"))
    assert daemon.finish() == []
    daemon.later(hours=20)
    assert daemon.finish() == [WHOLE]


def test_what_an_older_copy_lacks_is_fetched_again(daemon: Daemon) -> None:
    daemon.load_finished(openai(on=IMAGES))
    older = daemon.file.read_bytes()
    daemon.clock.move_to(datetime(2026, 11, 21, 8, tzinfo=UTC))
    assert daemon.finish() == ["openai 2026-11-20..2026-11-20"]
    daemon.file.write_bytes(older)
    assert daemon.finish() == ["openai 2026-11-20..2026-11-20"]


# Failures


def test_a_failed_run_is_asked_for_again_after_pauses_that_grow(daemon: Daemon) -> None:
    """A key that was revoked: nothing is wrong with any day."""
    daemon.load(openai(on=IMAGES))
    again = "will be tried again"
    for pause, said in ((10, again), (20, again), (40, f"failed 3 times, {again} at 2026-11-20 09:10 UTC")):
        assert daemon.tick() == [WHOLE]
        daemon.fail("openai/usage_images", reason="the key was revoked")
        assert daemon.tick() == []
        assert (daemon.said or "").startswith(f"{said}: openai/usage_images (the key was revoked)")
        daemon.later(minutes=pause, seconds=-1)
        assert daemon.tick() == []
        daemon.later(seconds=1)
    daemon.finish()
    assert daemon.tick() == []
    assert daemon.said == NOTHING


def test_an_asset_that_fails_holds_back_nothing_but_what_is_computed_from_it(daemon: Daemon) -> None:
    daemon.load(openai("2025-11-20"))
    daemon.tick()
    daemon.fail(reason="403")
    assert daemon.tick() == ["openai 2025-11-20..2026-05-17"]
    (run,) = daemon.under_way()
    asked = {key.to_user_string() for key in run.asset_selection or ()}
    assert asked == {"openai/usage_completions", "openai/entities/openai_model_usage"}


@needs("vendors")
def test_what_can_be_computed_without_an_asset_that_fails_is_not_held_back(daemon: Daemon) -> None:
    """Two reports may state the same charges. If one is refused, the other one's costs are computed without it."""
    daemon.load(COPILOT)
    daemon.tick()
    daemon.fail("copilot/ai_credits", reason="403")
    assert daemon.tick() == ["copilot 2026-11-18..2026-11-19"]
    (run,) = daemon.under_way()
    assert {key.to_user_string() for key in run.asset_selection or ()} >= {"copilot/premium_requests/daily_costs"}
    assert not [key for key in run.asset_selection or () if key.path[1] == "ai_credits"]


def test_days_that_failed_together_are_asked_for_together_with_pauses_that_grow(daemon: Daemon) -> None:
    """A run keeps the days that are there, so there is no need to ask for fewer."""
    daemon.load(openai(on=IMAGES))
    daemon.tick()
    daemon.fail("openai/usage_images", *map(str, days("12", "19").days))
    assert daemon.tick() == []
    daemon.later(minutes=10)
    assert daemon.tick() == [WHOLE]
    daemon.fail("openai/usage_images", "2026-11-13", "2026-11-17")
    assert daemon.tick() == []
    daemon.later(minutes=10)
    assert daemon.tick() == [], "the second pause is longer"
    daemon.later(minutes=10)
    assert daemon.tick() == ["openai 2026-11-17..2026-11-17"]
    daemon.succeed()
    assert daemon.tick() == ["openai 2026-11-13..2026-11-13"]


def test_a_late_day_is_asked_for_again_when_it_is_due_and_not_before(daemon: Daemon) -> None:
    daemon.load(openai(on=IMAGES))
    daemon.tick()
    late = date(2026, 11, 19)
    for hours in (4, 6):  # half the time since the day has ended
        daemon.be_late(late)
        assert daemon.tick() == []
        again = datetime.now(UTC) + timedelta(hours=hours)
        because = f"not served yet, tried again from {again:%Y-%m-%d %H:%M} UTC on: no report"
        assert daemon.due() == {"openai": [f"1 day late (2026-11-19): {because}"]}
        daemon.later(hours=hours, seconds=-1)
        assert daemon.tick() == []
        daemon.later(seconds=1)
        assert daemon.tick() == ["openai 2026-11-19..2026-11-19"]
    daemon.succeed()
    assert daemon.tick() == []
    assert daemon.due() == {}


def test_a_day_that_stays_late_is_missing_and_asked_for_also_where_history_is_left_to_people(daemon: Daemon) -> None:
    begin_with_a_late_day(daemon)
    daemon.clock.move_to(datetime(2026, 11, 23, tzinfo=UTC) - timedelta(seconds=1))
    daemon.tick()
    daemon.be_late(date(2026, 11, 19))
    assert any(words.startswith("1 day late (2026-11-19): ") for words in daemon.due()["openai"])
    daemon.later(seconds=1)
    missing = "1 day missing (2026-11-19): not available at the last request: no report"
    assert missing in daemon.due()["openai"]
    daemon.later(days=3)
    note_late(
        daemon.warehouse, ["openai.usage_images"], "openai", {date(2026, 11, 25): PermanentError("no report")}, ""
    )
    assert missing in daemon.due()["openai"], "a newer day is late, too"
    daemon.later(days=27)
    assert "openai 2026-11-19..2026-11-21" in daemon.finish()


def test_a_day_that_the_provider_never_had_is_left_to_people_after_a_month(daemon: Daemon) -> None:
    begin_with_a_late_day(daemon)
    daemon.later(days=40)
    assert not [run for run in daemon.finish() if "2026-11-19" in run]


def begin_with_a_late_day(daemon: Daemon) -> None:
    """Load a connection whose history is left to people; its first day is not served yet."""
    daemon.load(openai(on=IMAGES, start="2026-11-19"), usage_backfill_history=False)
    daemon.tick()
    daemon.be_late(date(2026, 11, 19))


def test_a_run_that_was_killed_is_asked_for_again_at_once_twice_and_then_with_pauses(daemon: Daemon) -> None:
    assert daemon.tick() == [WHOLE]
    daemon.end(dg.DagsterEventType.RUN_FAILURE)
    assert daemon.tick() == [WHOLE]
    daemon.end(dg.DagsterEventType.RUN_CANCELED)
    assert daemon.tick() == [WHOLE]
    daemon.end(dg.DagsterEventType.RUN_FAILURE)
    assert daemon.tick() == []
    assert "openai/costs (the run ended without a reason)" in str(daemon.said)
    daemon.later(minutes=40)
    assert daemon.tick() == [WHOLE]
    (run,) = daemon.under_way()
    why = SerializableErrorInfo("SettingsError: connections.toml: not a TOML file\n", [], "SettingsError")
    daemon.instance.report_engine_event("Could not load job definition.", run, EngineEventData(error=why))
    daemon.end(dg.DagsterEventType.RUN_FAILURE)
    assert daemon.tick() == []
    assert "openai/costs (it could not begin: connections.toml: not a TOML file)" in str(daemon.said)


def test_days_that_are_due_again_right_after_a_run_that_succeeded_are_not_asked_for_at_once(daemon: Daemon) -> None:
    for minutes in (10, 20, 40):
        assert daemon.tick() == [WHOLE]
        daemon.end(dg.DagsterEventType.RUN_SUCCESS)
        assert daemon.tick() == []
        assert "succeeded, and they are still due" in (daemon.said or "")
        daemon.later(minutes=minutes, seconds=-1)
        assert daemon.tick() == []
        daemon.later(seconds=1)


def test_a_run_that_was_never_launched_or_was_deleted_is_asked_for_again(daemon: Daemon) -> None:
    daemon.tick()
    for run in daemon.instance.get_runs():
        daemon.instance.delete_run(run.run_id)
    assert daemon.tick() == [WHOLE]


# Company


def test_a_run_of_hours_is_waited_for_as_long_as_it_logs(daemon: Daemon) -> None:
    """A provider that lets little through: a second run of the same days would make both slower."""
    daemon.tick()
    (run,) = daemon.under_way()
    daemon.instance.report_dagster_event(dg.DagsterEvent("PIPELINE_START", run.job_name), run.run_id)
    for _ in range(3):
        daemon.later(minutes=50)
        daemon.instance.report_engine_event("429 from GET /costs. Again in 60 s, attempt 2", run)
        assert daemon.tick() == []
    daemon.later(minutes=61)
    assert daemon.tick() == [WHOLE], "nothing was heard of it for an hour"


def test_it_waits_for_somebody_elses_run_of_the_same_assets(daemon: Daemon) -> None:
    run = daemon.queue("__ASSET_JOB", {}, [dg.AssetKey(["openai", "costs"])])
    assert daemon.tick() == []
    daemon.instance.report_dagster_event(dg.DagsterEvent("PIPELINE_SUCCESS", run.job_name), run.run_id)
    assert daemon.tick() == [WHOLE]


def test_a_tick_waits_for_a_run_that_has_the_file(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due_runs, "WAIT_SECONDS", 0)
    daemon.load_finished(openai(on=IMAGES))
    with held_by_another(str(daemon.file)):
        daemon.load(openai("2026-11-10", on=IMAGES))
        daemon.cursor = None
        assert daemon.tick() == []
    assert daemon.said
    assert daemon.said.startswith("not yet: ")
    assert daemon.tick() == ["openai 2026-11-10..2026-11-11"]


# The cursor


def test_an_idle_tick_opens_no_file_and_asks_the_instance_for_nothing(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.load_finished(openai(on=IMAGES) + CODEX)
    assert daemon.tick() == []
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", note)
    try:
        with held_by_another(str(daemon.file)):
            assert daemon.tick() == []
        assert (daemon.said, statements) == (NOTHING, [])
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", note)


def test_a_corrupt_cursor_is_started_again(daemon: Daemon, empty: Any) -> None:
    for cursor in ("{", '{"work": 1}', '{"work": {"openai": ["a", "b"]}}'):
        daemon.kept.remember(empty)
        daemon.cursor = None
        assert daemon.tick() == [WHOLE]
        daemon.end(dg.DagsterEventType.RUN_CANCELED)
        daemon.later(minutes=1)
        daemon.cursor = cursor
        assert daemon.tick() == [WHOLE], f"{cursor}: Dagster launches it: its run key is a new one"


def test_the_cursor_forgets_a_removed_connection_and_holds_no_secret(daemon: Daemon) -> None:
    daemon.load(openai() + CODEX)
    daemon.tick()
    assert list(json.loads(daemon.cursor or "")["work"]) == ["openai", "codex"]
    daemon.load(openai())
    daemon.tick()
    assert list(json.loads(daemon.cursor or "")["work"]) == ["openai"]
    assert "very-secret" not in (daemon.cursor or "")


def test_stated_invoices_are_compared_each_month(daemon: Daemon) -> None:
    assert daemon.definitions.resolve_schedule_def("monthly_invoices_schedule").cron_schedule == "0 9 3 * *"
    assert daemon.definitions.resolve_job_def(ACCOUNTING_JOB).asset_layer.asset_graph.asset_check_keys == {
        dg.AssetCheckKey(dg.AssetKey("accounting"), "invoices")
    }


# A clock that was set back


A_DAY = timedelta(days=1)


def test_no_day_is_lost_or_asked_for_twice_after_the_clock_was_set_back(daemon: Daemon) -> None:
    daemon.load_finished(openai(on=COSTS))
    daemon.clock.move_to(NOW - A_DAY)
    assert daemon.finish() == []
    daemon.amounts[date(2026, 11, 18)] = Decimal(5)
    daemon.store(days("18"), {"openai/costs"})
    assert daemon.finish() == ["openai 2026-11-18..2026-11-18"], "what is computed from it"
    amounts = "select amount_usd from costs.daily_costs where usage_date = '2026-11-18'"
    assert daemon.warehouse.read(amounts)["amount_usd"].to_pylist() == [Decimal(5)]
    daemon.clock.move_to(NOW + A_DAY)
    new, read_long_ago = "openai 2026-11-20..2026-11-20", "openai 2026-11-18..2026-11-18"
    assert daemon.finish() == [new, read_long_ago]
    assert daemon.tick() == []


def test_a_failure_before_the_clock_was_set_back_is_tried_again_at_once_and_then_with_pauses(daemon: Daemon) -> None:
    daemon.load(openai(on=IMAGES))
    daemon.tick()
    daemon.fail("openai/usage_images", reason="403")
    assert daemon.tick() == []
    daemon.clock.move_to(NOW - A_DAY)
    assert daemon.tick() == ["openai 2026-11-12..2026-11-18"]
    daemon.fail("openai/usage_images", reason="403")
    assert daemon.tick() == []
    daemon.later(minutes=20)
    assert daemon.tick() == ["openai 2026-11-12..2026-11-18"]
