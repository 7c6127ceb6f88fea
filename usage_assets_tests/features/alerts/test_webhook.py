"""Failed runs and failed checks reach people: real runs, a receiver on this machine, the sensor tick by tick."""

import json
import logging
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import dagster as dg
import pytest
import time_machine
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.utils import make_new_run_id

from usage_assets.assets.failures import failure
from usage_assets.assets.posted import ALERTS, DAYS_WRONG, DIGEST, WEEK
from usage_assets.automation.jobs import range_tags
from usage_assets.config.settings import Settings
from usage_assets.features.alerts import webhook
from usage_assets.features.alerts.alarms import COLLECTED, COLLECTED_AT_MOST, FORGOTTEN, GIVE_UP, NOTHING_IS_LOST
from usage_assets.features.alerts.webhook import POSTS_PER_TICK, build_webhook_sensor
from usage_assets.testing.echoes import HARD_KEY, SPELLINGS, leaked
from usage_assets_tests.end_to_end.conftest import (
    IMPATIENT,
    Project,
    open_project,
    with_endpoints,
    with_main_endpoints,
)
from usage_assets_tests.features.alerts.receiver import PATH, Receiver, receiving
from usage_assets_tests.fixtures import NOW, Sandbox, last_days
from usage_assets_tests.terminal import SECRETS

SECRET = "sk-admin-very-secret"
NOTHING_NEW = "nothing is new"
POSTED = "1 message posted"


on_both = pytest.mark.usefixtures("new_instance")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def asset_of(name: str, error: Exception | None) -> dg.AssetsDefinition:
    """An asset that fails with the error, or succeeds."""

    @dg.asset(key=["openai", name], partitions_def=dg.DailyPartitionsDefinition("2026-11-01"))
    def asset() -> None:
        if error:
            raise error

    return asset


@dataclass
class Daemon:
    """What Dagster's sensor daemon does with a tick: keeps the cursor."""

    instance: dg.DagsterInstance
    url: str
    clock: time_machine.Traveller
    cursor: str | None = None
    settings: Settings = field(default_factory=lambda: Settings.load(_env_file=None, openai_admin_key=SECRET))
    location: str | None = None

    def tick(self, later: timedelta = COLLECTED) -> str:
        """Run one tick, when what is new has waited for long enough; return what it says."""
        self.clock.shift(later)
        sensor = build_webhook_sensor(self.settings, self.url)
        with dg.SensorEvaluationContext(
            instance_ref=None,
            instance=self.instance,
            cursor=self.cursor,
            repository_name="__repository__",
            code_location_origin=RegisteredCodeLocationOrigin(self.location) if self.location else None,
        ) as context:
            data = sensor.evaluate_tick(context)
        self.cursor = data.cursor
        return str(data.skip_message)

    def run(self, *errors: Exception | None, **tags: str) -> str:
        """Run the assets costs, usage, ... with these errors for a day; return the run's id."""
        names = ["costs", "usage", *(f"other_{n}" for n in range(9))]
        assets = [asset_of(name, error) for name, error in zip(names, errors, strict=False)]
        return dg.materialize(
            assets, instance=self.instance, partition_key="2026-11-19", tags=tags, raise_on_error=False
        ).run_id

    def end(self, key: str, error: Exception | None, first: str = "", last: str = "") -> str:
        """Run an asset without partitions, of some days; return the run's id."""

        @dg.asset(key=key.split("/"))
        def asset() -> None:
            if error:
                raise error

        tags = dict(range_tags(date.fromisoformat(first), date.fromisoformat(last or first))) if first else {}
        return dg.materialize([asset], instance=self.instance, tags=tags, raise_on_error=False).run_id

    def die(self, reason: str, *, canceled: bool = False, **of: Any) -> str:
        """A run whose process died, or that was canceled; return its id."""
        run = dg.DagsterRun(of.pop("job", "usage"), make_new_run_id(), **of)
        self.instance.add_run(run)
        if canceled:
            self.instance.report_run_canceled(run)
        else:
            self.instance.report_run_failed(run, reason)
        return run.run_id

    def observe(self, week: str, *lines: str, **alerts: str) -> None:
        """A run that found something of a week, and perhaps something odd, and a tick."""

        @dg.asset(check_specs=[dg.AssetCheckSpec("anomalies", asset="anomalies")])
        def anomalies() -> Iterator[dg.MaterializeResult[None] | dg.AssetObservation]:
            if lines:
                yield dg.AssetObservation("forecast_totals", metadata={WEEK: week, DIGEST: "\n".join(lines)})
            yield dg.AssetObservation("anomalies", metadata={"of": "somebody else"})
            found = dg.AssetCheckResult(
                check_name="anomalies",
                passed=not alerts,
                severity=dg.AssetCheckSeverity.WARN,
                description="\n".join(alerts.values()),
                metadata={ALERTS: json.dumps(alerts)},
            )
            yield dg.MaterializeResult(check_results=[found])

        dg.materialize([anomalies], instance=self.instance)
        self.clock.shift(1)
        self.tick()

    def fail(self, reason: str = "OpenAI answered 401: the key was revoked") -> str:
        """A run of which costs fail; return its id."""
        return self.run(dg.Failure(reason), **{"usage_assets/connection": "openai"})


@pytest.fixture
def daemon(
    clock: time_machine.Traveller,
    receiver: Receiver,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Daemon]:
    """A daemon whose sensor has had its first tick, in a folder without a warehouse. Its history is in memory, but for
    tests ``on_both``."""
    monkeypatch.chdir(tmp_path)
    has_both = "new_instance" in request.fixturenames
    new = request.getfixturevalue("new_instance") if has_both else dg.DagsterInstance.ephemeral
    with new() as instance:
        daemon = Daemon(instance, receiver.url, clock)
        assert daemon.tick() == NOTHING_NEW
        clock.shift(1)
        yield daemon


@on_both
def test_a_failed_run_is_told_once_with_its_asset_its_day_its_reason_and_its_id(
    daemon: Daemon, receiver: Receiver
) -> None:
    run_id = daemon.fail()
    assert daemon.tick() == POSTED
    assert daemon.tick() == NOTHING_NEW
    assert receiver.paths == [PATH]
    assert receiver.texts == [
        (
            "usage-assets: OpenAI answered 401: the key was revoked: 1 asset of 1 connection; costs are among them\n"
            f"openai: costs, 2026-11-19\n{NOTHING_IS_LOST}\nrun {run_id}"
        )
    ]


def test_a_run_of_a_range_names_its_days_and_the_cause_of_its_error(daemon: Daemon, receiver: Receiver) -> None:
    error = ValueError("a line\nand another")
    error.__cause__ = KeyError("the cause")
    run_id = daemon.end("openai/usage", error, "2026-11-13", "2026-11-19")
    daemon.settings = Settings.load(_env_file=None, usage_ui_url="https://dagster.example/")
    daemon.tick()
    assert receiver.texts == [
        (
            "usage-assets: 'the cause': 1 asset of 1 connection\nopenai: usage, 2026-11-13 to 2026-11-19\n"
            f"{NOTHING_IS_LOST}\nhttps://dagster.example/runs/{run_id}"
        )
    ]


def test_runs_that_died_together_are_one_message_with_the_reason_that_dagster_gives(
    daemon: Daemon, receiver: Receiver
) -> None:
    tags = {"usage_assets/connection": "chatgpt"}
    for _ in range(3):
        run_id = daemon.die("Run worker process died unexpectedly", tags=tags)
    assert daemon.tick() == POSTED
    assert receiver.texts == [
        (
            f"usage-assets: Run worker process died unexpectedly: 1 run\nchatgpt usage run\n{NOTHING_IS_LOST}\n"
            f"run {run_id}"
        )
    ]


@on_both
def test_runs_that_succeeded_or_were_canceled_and_runs_of_other_code_are_not_told(
    daemon: Daemon, receiver: Receiver
) -> None:
    daemon.run(None)
    daemon.die("", canceled=True)
    assert daemon.tick() == NOTHING_NEW
    daemon.location = "usage_assets"
    for location in ("somebody_else", "usage_assets"):
        repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), "__repository__")
        daemon.die("died", job=f"job of {location}", remote_job_origin=RemoteJobOrigin(repository, "j"))
    assert daemon.tick() == POSTED
    assert "job of usage_assets" in receiver.texts[0]


def test_each_of_many_causes_is_a_message_of_its_own_and_told_in_several_ticks(
    daemon: Daemon, receiver: Receiver
) -> None:
    secret_at_the_end = "x" * (webhook.REASON_LENGTH - 10) + SECRET
    ids = [daemon.fail(cause) for cause in (secret_at_the_end, *(name * 1000 for name in "abcde"))]
    assert len(ids) == POSTS_PER_TICK + 2
    assert daemon.tick() == f"{POSTS_PER_TICK} messages posted, 2 to post"
    assert daemon.tick() == "2 messages posted"
    assert [text.splitlines()[-1] for text in receiver.texts] == [f"run {run_id}" for run_id in ids]
    assert max(len(line) for text in receiver.texts for line in text.splitlines()) < 390
    assert SECRET[:8] not in receiver.texts[0], "it is not cut into pieces that nobody knows"


# One message per cause


@on_both
def test_while_a_cause_lasts_it_is_told_once_and_then_that_it_is_mended(daemon: Daemon, receiver: Receiver) -> None:
    for attempt in range(3):
        daemon.fail(f"openai costs 2026-11-1{attempt}: 401 from GET /v1/costs: Bad key (request r-{attempt}).")
        daemon.tick()
        daemon.clock.shift(timedelta(hours=6))
    assert len(receiver.messages) == 1
    run_id = daemon.run(None, **{"usage_assets/connection": "openai"})
    daemon.tick()
    assert receiver.texts[1:] == [
        (
            "usage-assets: works again, after: openai costs 2026-11-10: 401 from GET /v1/costs: Bad key (request r-0)."
            f"\nrun {run_id}"
        )
    ]
    daemon.clock.shift(1)
    daemon.fail("openai costs 2026-11-19: 401 from GET /v1/costs: Bad key (request r-4).")
    assert daemon.tick() == POSTED, "the same cause again is news"


def test_a_cause_is_mended_when_all_days_that_failed_have_succeeded(daemon: Daemon, receiver: Receiver) -> None:
    """Of a range, other days than those that the failure names are stored, and no run fetches them again."""
    gap = dg.Failure("there is no bucket for a day")
    for error, first, last, messages in (
        (gap, "2026-11-13", "2026-11-19", 1),
        (None, "2026-11-13", "2026-11-15", 1),
        (None, "2026-11-17", "2026-11-19", 1),
        (gap, "2026-11-16", "", 1),
        (None, "2026-11-16", "", 2),
        (failure("a day is refused", [date(2026, 9, 7)]), "2026-09-01", "2026-11-19", 3),
        (None, "2026-09-07", "", 4),
    ):
        daemon.end("openai/costs", error, first, last)
        daemon.tick()
        daemon.clock.shift(1)
        assert len(receiver.messages) == messages, (first, last)
    assert receiver.texts[1].startswith("usage-assets: works again, after: there is no bucket for a day")
    assert receiver.texts[2].splitlines()[1] == "openai: costs, 2026-09-07"
    assert receiver.texts[3].startswith("usage-assets: works again, after: a day is refused")


def test_a_cause_that_no_run_has_met_for_days_is_news_again(daemon: Daemon, receiver: Receiver) -> None:
    for _ in range(2):
        daemon.fail()
        daemon.tick()
        daemon.clock.shift(FORGOTTEN + timedelta(minutes=1))
    assert len(receiver.messages) == 2


# What is new waits for what belongs to it


def test_a_failure_that_is_over_within_the_minute_is_not_told(daemon: Daemon, receiver: Receiver) -> None:
    daemon.fail()
    assert daemon.tick(timedelta(seconds=30)) == "1 to post"
    daemon.run(None, **{"usage_assets/connection": "openai"})
    assert daemon.tick() == NOTHING_NEW
    assert receiver.messages == []


def test_a_message_waits_for_runs_that_are_under_way_but_not_for_ever(daemon: Daemon, receiver: Receiver) -> None:
    daemon.fail()
    daemon.instance.add_run(dg.DagsterRun("usage", make_new_run_id(), status=dg.DagsterRunStatus.STARTED))
    assert daemon.tick() == "1 to post"
    assert daemon.tick(COLLECTED_AT_MOST - COLLECTED) == POSTED


def test_a_cause_that_reaches_another_connection_or_costs_is_told_again_with_all_of_it(
    daemon: Daemon, receiver: Receiver
) -> None:
    for key, said in (
        ("openai/users", POSTED),
        ("openai/projects", NOTHING_NEW),
        ("openai/costs", POSTED),
        ("anthropic/users", POSTED),
        ("anthropic/users", NOTHING_NEW),
    ):
        daemon.end(key, dg.Failure("refused"))
        assert daemon.tick() == said, key
    assert [text.splitlines()[0] for text in receiver.texts] == [
        "usage-assets: refused: 1 asset of 1 connection",
        "usage-assets: refused: 3 assets of 1 connection; costs are among them",
        "usage-assets: refused: 4 assets of 2 connections; costs are among them",
    ]


def test_a_tick_that_dies_before_its_post_loses_nothing(
    daemon: Daemon, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.fail()
    assert daemon.tick(timedelta(seconds=10)) == "1 to post"

    def die(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(webhook, "read_run", die)
    daemon.fail("another cause")
    with pytest.raises(SystemExit):
        daemon.tick()
    monkeypatch.undo()
    assert daemon.tick() == "2 messages posted"
    assert daemon.tick() == NOTHING_NEW


@on_both
def test_runs_that_end_after_a_clock_was_set_back_are_told(daemon: Daemon, receiver: Receiver) -> None:
    daemon.clock.shift(timedelta(days=365))
    daemon.fail("told")
    assert daemon.tick() == POSTED
    daemon.fail("waits")
    assert daemon.tick(timedelta(seconds=1)) == "1 to post"
    daemon.clock.move_to(NOW + timedelta(hours=1))
    daemon.fail("new")
    said = [daemon.tick(timedelta(seconds=1)), daemon.tick(), daemon.tick()]
    assert said == ["2 to post", "2 messages posted", NOTHING_NEW]
    daemon.run(None)
    assert daemon.tick() == "3 messages posted", "all of it works again"
    assert daemon.tick() == NOTHING_NEW


# Failed checks


@dataclass
class Checked:
    """Assets with checks, whose findings a test decides."""

    daemon: Daemon
    wrong: dict[str, str] = field(default_factory=dict)
    """What the checks have found so far."""

    def run(
        self,
        found: Mapping[str, str],
        severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
    ) -> str:
        """A run of some days, each with what the check finds (nothing: it passes), and a tick; returns the run's id."""
        days = dg.DailyPartitionsDefinition("2026-11-01")
        spec = dg.AssetCheckSpec("control_total", asset=["openai", "costs"])
        self.wrong = {day: text for day, text in {**self.wrong, **found}.items() if text}

        @dg.asset(
            key=["openai", "costs"],
            partitions_def=days,
            backfill_policy=dg.BackfillPolicy.single_run(),
            check_specs=[spec],
        )
        def costs() -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckEvaluation]:
            for day, text in found.items():
                if text:
                    yield dg.AssetCheckEvaluation(
                        asset_key=spec.asset_key,
                        check_name="control_total",
                        passed=False,
                        metadata={},
                        severity=severity,
                        partition=day,
                        description=text,
                    )
            yield dg.MaterializeResult(
                check_results=[
                    dg.AssetCheckResult(
                        check_name="control_total",
                        passed=not self.wrong,
                        severity=severity,
                        description=str(self.wrong),
                        metadata={DAYS_WRONG: len(self.wrong)},
                    )
                ]
            )

        tags = dict(range_tags(date.fromisoformat(min(found)), date.fromisoformat(max(found))))
        ended = dg.materialize([costs], instance=self.daemon.instance, tags=tags)
        self.daemon.clock.shift(1)
        self.daemon.tick()
        return ended.run_id


@pytest.fixture
def checked(daemon: Daemon) -> Checked:
    """Runs that succeed, whatever their checks find."""
    return Checked(daemon)


def test_failed_checks_of_a_green_run_are_one_message_with_their_figures(checked: Checked, receiver: Receiver) -> None:
    run_id = checked.run({"2026-11-18": "12.30 here and 12.31 there", "2026-11-19": "1 here and 2 there"})
    assert receiver.texts == [
        (
            "usage-assets: 1 error about openai\n"
            "Error, 2026-11-19: 1 here and 2 there (also on 1 day: 2026-11-18). (Check openai/costs control_total)\n"
            f"run {run_id}"
        )
    ]


def test_a_contradiction_is_told_again_when_it_was_gone_and_not_because_of_other_days(
    checked: Checked, receiver: Receiver
) -> None:
    for day, text, messages in (
        ("2026-11-18", "1 is 2", 1),
        ("2026-11-19", "", 1),
        ("2026-11-18", "1 is 2", 1),
        ("2026-11-18", "", 1),
        ("2026-11-18", "1 is 2", 2),
    ):
        checked.run({day: text})
        assert len(receiver.messages) == messages, (day, text)


def test_what_was_given_up_is_news_when_it_is_found_again(daemon: Daemon, checked: Checked, receiver: Receiver) -> None:
    """Or nobody would ever hear of a budget that was reached while the webhook did not work for a day."""

    def happen() -> None:
        checked.run({"2026-11-19": "1 is 2"})
        daemon.observe("2026-W46", "AI spend: $7", budget="budget all: 100% of $10 was reached")

    receiver.status = 500
    happen()
    assert daemon.tick(GIVE_UP) == NOTHING_NEW
    receiver.status = 200
    receiver.messages.clear()
    for _ in range(2):
        happen()
        daemon.tick()
    assert sorted(text.splitlines()[0] for text in receiver.texts) == [
        "AI spend: $7",
        "usage-assets: 1 error about openai",
        "usage-assets: budget all: 100% of $10 was reached",
    ]


REPORT_URL = "https://finops.example.com/ai.html"


@on_both
def test_an_alert_is_told_once_whatever_its_figures_become_and_again_when_it_was_gone(
    daemon: Daemon, receiver: Receiver
) -> None:
    told = []
    for alerts, text in (
        ({"half": "50% was reached: $6", "most": ""}, "50% was reached: $6"),
        ({"half": "50% was reached: $7", "most": ""}, ""),
        ({"half": "", "most": "", "all": "100% was reached: $11"}, "100% was reached: $11"),
        ({"most": ""}, ""),
        ({"half": "50% was reached: $5", "most": ""}, "50% was reached: $5"),
    ):
        daemon.observe("", **alerts)
        told += [f"usage-assets: {text}"] if text else []
        assert [posted.splitlines()[0] for posted in receiver.texts] == told, alerts


def test_a_week_is_told_once_and_links_to_the_report_as_an_alert_does(daemon: Daemon, receiver: Receiver) -> None:
    daemon.observe("2026-W46", "AI spend: $7", "November: $20", "Moved most: <web> of bob@example.com")
    daemon.observe("2026-W46", "AI spend: $8", "November: $21", "Moved most: web")
    assert receiver.texts == ["AI spend: $7\nNovember: $20\nMoved most: &lt;web&gt; of address-dropped"]
    daemon.settings = Settings.load(_env_file=None, openai_admin_key=SECRET, usage_report_url=REPORT_URL)
    daemon.observe("2026-W47", "AI spend: $9", spike="spike of everything")
    daemon.observe("2026-W46", "AI spend: $8", spike="spike of everything")
    digest, alert = sorted(text.splitlines() for text in receiver.texts[1:])
    assert digest == ["AI spend: $9", REPORT_URL]
    assert alert[:2] == ["usage-assets: spike of everything", REPORT_URL]
    assert alert[2].startswith("run ")
    daemon.fail()
    daemon.tick()
    assert REPORT_URL not in receiver.texts[3]


# No secret, no address of a person, no command


def test_a_secret_is_not_posted_in_any_spelling(daemon: Daemon, receiver: Receiver) -> None:
    daemon.settings = Settings.load(_env_file=None, openai_admin_key=HARD_KEY, usage_webhook_url=receiver.url)
    daemon.fail("; ".join(spelled(secret) for spelled in SPELLINGS.values() for secret in (HARD_KEY, PATH)))
    daemon.tick()
    assert not leaked(receiver.texts[0], [HARD_KEY, PATH], known="/services/")


def test_the_address_is_in_no_log_and_no_tag(
    daemon: Daemon, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    said = []
    with caplog.at_level(logging.DEBUG):
        run_id = daemon.fail()
        events = daemon.instance.all_logs(run_id)
        for receiver.status, receiver.body in ((404, f"no such hook: {PATH}"), (200, "ok")):
            said.append(daemon.tick())
        httpx_logs_again = logging.getLogger("httpx")
        httpx_logs_again.info("something else")
    assert daemon.instance.all_logs(run_id) == events, "no run is changed by a webhook that does not work"
    run = daemon.instance.get_run_by_id(run_id)
    assert run
    assert run.status is dg.DagsterRunStatus.FAILURE
    logged = [record.getMessage() for record in caplog.records]
    assert "something else" in logged
    assert "secret-token" not in " ".join([*logged, *map(str, said), *run.tags.values()])
    assert said[0] == "0 messages posted, 1 to post; USAGE_WEBHOOK_URL answered 404: it is tried again"


def evaluated(project: Project, clock: time_machine.Traveller, later: timedelta = COLLECTED) -> str:
    """What a tick of the product's sensor says, when what is new has waited for long enough."""
    clock.shift(later)
    sensor = project.definitions.get_repository_def().get_sensor_def("webhook_sensor")
    with dg.build_sensor_context(instance=project.instance) as context:
        said = str(sensor.evaluate_tick(context).skip_message)
    clock.shift(1)
    return said


REVOKED = {"status": 401, "body": {"error": {"message": "Incorrect API key provided"}}, "fault": "status"}


def test_a_revoked_key_is_one_message_that_names_all_that_it_blocks_and_up_to_which_day_costs_are_stored(
    sandbox: Sandbox, receiver: Receiver, tmp_path: Path, clock: time_machine.Traveller
) -> None:
    """Four lookups fail first, then costs and usage: seen with two messages, of which none named the costs."""
    variables = with_endpoints(tmp_path, "costs", "usage_completions") | {"USAGE_WEBHOOK_URL": receiver.url}
    *stored, newest = last_days(3)
    with open_project(sandbox, tmp_path, variables, patience=IMPATIENT) as project:
        evaluated(project, clock)
        assert project.fetch("openai", stored).success
        evaluated(project, clock)
        sandbox.faults({"route": "GET /openai/", **REVOKED})
        for is_refused in (True, False):
            assert project.look_up("openai").success is not is_refused
            assert evaluated(project, clock, timedelta(seconds=30)) == ("1 to post" if is_refused else NOTHING_NEW)
            ended = project.fetch("openai", [*stored, newest])
            assert ended.success is not is_refused
            assert evaluated(project, clock) == POSTED
            sandbox.mend()
    refused, mended = receiver.texts
    header, assets, reason, nothing_is_lost, _ = refused.splitlines()
    fault = "OpenAI refuses the key (401: Incorrect API key provided)"
    assert header == f"usage-assets: {fault}: 6 assets of 1 connection; costs stop at {stored[-1]}"
    assert assets == f"openai: costs, project_api_keys, projects and 3 more, {stored[0]} to {newest}"
    assert reason.startswith("openai ")
    assert "401 from GET /openai/v1/" in reason
    assert nothing_is_lost == NOTHING_IS_LOST
    assert mended.startswith(f"usage-assets: works again, after: {fault}\n")
    assert not any(secret in text for secret in SECRETS for text in receiver.texts)


def test_an_invoice_that_differs_from_what_is_stored_reaches_people_from_a_green_run(
    sandbox: Sandbox, receiver: Receiver, tmp_path: Path, clock: time_machine.Traveller
) -> None:
    variables = with_main_endpoints(tmp_path) | {"USAGE_WEBHOOK_URL": receiver.url}
    with Path(variables["USAGE_CONNECTIONS"]).open("a") as connections:
        connections.write('[[invoice]]\nconnection = "openai"\nmonth = "2026-10"\ntotal = 1400\nid = "I-1"\n')
    with open_project(sandbox, tmp_path, variables) as project:
        evaluated(project, clock)
        assert replace(project, checks=True).run("accounting_tables", [dg.AssetKey("accounting")]).success
        assert evaluated(project, clock) == POSTED
    header, line, _ = receiver.texts[0].splitlines()
    assert header == "usage-assets: 1 error about accounting"
    assert line.startswith("Error: I-1 (openai 2026-10): invoiced $1,400.00, stored $0.00; ")


# A webhook that does not work


def test_a_message_that_is_refused_or_cannot_be_sent_is_one_line_and_is_tried_again(
    daemon: Daemon, receiver: Receiver
) -> None:
    daemon.fail("refused")
    daemon.fail("unreachable")
    to_post = "0 messages posted, 2 to post; USAGE_WEBHOOK_URL"
    for status, body, words in (
        (500, "<html>", "500"),
        (404, "no_service", "404 (no_service)"),
        (302, "", "302"),
        (429, "rate_limited", "429 (rate_limited)"),
    ):
        receiver.status, receiver.body = status, body
        assert daemon.tick() == f"{to_post} answered {words}: it is tried again"
    with closed_port() as daemon.url:
        assert daemon.tick() == f"{to_post} cannot be reached (ConnectError): it is tried again"
    daemon.url, receiver.status = receiver.url, 200
    assert daemon.tick() == "2 messages posted"
    assert daemon.tick() == NOTHING_NEW


@contextmanager
def closed_port() -> Iterator[str]:
    """An address that nobody listens at, and nobody else can have meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}{PATH}"


def test_a_message_that_may_have_arrived_is_not_sent_twice(daemon: Daemon, receiver: Receiver) -> None:
    daemon.fail()
    receiver.is_silent = True
    assert daemon.tick() == (
        "0 messages posted; USAGE_WEBHOOK_URL gave no answer (RemoteProtocolError): "
        "the message may have arrived and is not sent again"
    )
    receiver.is_silent = False
    assert daemon.tick() == NOTHING_NEW
    assert len(receiver.messages) == 1


def test_a_tick_waits_for_seconds_only(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT_SECONDS", 0.1)
    daemon.fail()
    with socket.create_server(("127.0.0.1", 0)) as nobody_answers:
        daemon.url = f"http://127.0.0.1:{nobody_answers.getsockname()[1]}{PATH}"
        said = daemon.tick()
    assert "gave no answer (ReadTimeout)" in said


def test_headers_or_a_body_that_drip_hold_no_tick(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "DEADLINE_SECONDS", 0.3)
    for beginning, expected in (
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 99\r\n\r\n", "answered 500"),
        (b"HTTP/1.1 200 OK\r\n", "gave no answer (0.3 s): the message may have arrived"),
    ):
        daemon.fail(expected)
        with dripping(beginning) as daemon.url:
            assert expected in daemon.tick()


@contextmanager
def dripping(beginning: bytes) -> Iterator[str]:
    """The address of a server that sends the beginning of an answer at once, and then a byte at a time."""
    has_ended = Event()

    def drip() -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(beginning)
            while not has_ended.wait(0.05):
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=drip)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}{PATH}"
        has_ended.set()
        thread.join()


@on_both
def test_a_tick_that_dies_after_its_post_posts_nothing_twice(
    daemon: Daemon, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.fail()
    before = daemon.cursor
    posted = webhook.post

    def die(url: str, text: str) -> None:
        posted(url, text)
        raise SystemExit

    monkeypatch.setattr(webhook, "post", die)
    with pytest.raises(SystemExit):
        daemon.tick()
    monkeypatch.undo()
    daemon.cursor = before
    assert daemon.tick() == NOTHING_NEW
    assert len(receiver.messages) == 1
