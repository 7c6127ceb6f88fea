"""Failed runs and failed checks reach people: real runs, a receiver on this machine, the sensor tick by tick."""

import json
import logging
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import dagster as dg
import pytest
import time_machine
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.utils import make_new_run_id

from usage_assets.assets.checks import DAYS_WRONG
from usage_assets.assets.failures import failure
from usage_assets.assets.insights import ALERTS, DIGEST, WEEK
from usage_assets.automation import webhook
from usage_assets.automation.jobs import range_tags
from usage_assets.automation.webhook import FORGOTTEN, GIVE_UP, NOTHING_IS_LOST, POSTS_PER_TICK, build_webhook_sensor
from usage_assets.config.settings import Settings
from usage_assets.fetching.transport import PermanentError
from usage_assets_tests.conftest import NewInstance, Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import IMPATIENT, Project, open_project, with_endpoints, with_main_endpoints
from usage_assets_tests.terminal import SECRETS

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
PATH = "/services/T0/B0/secret-token"
SECRET = "sk-admin-very-secret"
NOTHING_NEW = "nothing is new"
POSTED = "1 messages posted"


@dataclass
class Receiver:
    """What stands behind the webhook, and what it was sent."""

    url: str
    status: int = 200
    body: str = "ok"
    is_silent: bool = False
    """Whether it hangs up without an answer."""
    promised: int = 0
    """How many bytes it says its answer's body has; 0: it does not say."""
    is_read: Event | None = None
    """What its answer's body waits for."""
    paths: list[str] = field(default_factory=list)
    messages: list[Any] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        """The texts of the messages."""
        assert all(message.keys() == {"text"} for message in self.messages)
        return [message["text"] for message in self.messages]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that takes everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/json"
            received.paths.append(self.path)
            received.messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if received.is_silent:
                self.close_connection = True
                return
            self.send_response(received.status)
            if received.promised:
                self.send_header("Content-Length", str(received.promised))
            self.end_headers()
            if received.is_read:
                received.is_read.wait()
            self.wfile.write(received.body.encode())

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received = Receiver(f"http://127.0.0.1:{server.server_port}{PATH}")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield received
        server.shutdown()
        thread.join()


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
    cursor: str | None = None
    settings: Settings = field(default_factory=lambda: Settings.load(_env_file=None, openai_admin_key=SECRET))
    location: str | None = None

    def tick(self) -> str:
        """Run one tick; return what it says."""
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

    def fail(self, reason: str = "OpenAI answered 401: the key was revoked") -> str:
        """A run of which costs fail; return its id."""
        return self.run(dg.Failure(reason), **{"usage_assets/connection": "openai"})


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that stands still until it is shifted."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def daemon(clock: time_machine.Traveller, receiver: Receiver, new_instance: NewInstance) -> Iterator[Daemon]:
    """A daemon whose sensor has had its first tick."""
    with new_instance() as instance:
        daemon = Daemon(instance, receiver.url)
        assert daemon.tick() == NOTHING_NEW
        clock.shift(1)
        yield daemon


def test_a_failed_run_is_told_once_with_its_asset_its_day_its_reason_and_its_id(
    daemon: Daemon, receiver: Receiver
) -> None:
    run_id = daemon.fail()
    assert daemon.tick() == POSTED
    assert daemon.tick() == NOTHING_NEW
    assert receiver.paths == [PATH]
    assert receiver.texts == [
        (
            "usage-assets: openai failed, 2026-11-19\nopenai/costs: OpenAI answered 401: the key was revoked\n"
            f"{NOTHING_IS_LOST}\nrun {run_id}"
        )
    ]


def test_a_run_of_a_range_names_its_days_and_each_asset_that_failed(daemon: Daemon, receiver: Receiver) -> None:
    @dg.asset(key=["openai", "costs"])
    def costs() -> None:
        raise dg.Failure("refused")

    @dg.asset(key=["openai", "usage"])
    def usage() -> None:
        raise ValueError("a line\nand another") from KeyError("the cause")

    tags = range_tags(date(2026, 11, 13), date(2026, 11, 19))
    ended = dg.materialize([costs, usage], instance=daemon.instance, tags=dict(tags), raise_on_error=False)
    daemon.tick()
    header, *assets, _, footer = receiver.texts[0].splitlines()
    assert header == "usage-assets: openai failed, 2026-11-13 to 2026-11-19"
    assert sorted(assets) == ["openai/costs: refused", "openai/usage: 'the cause'"]
    assert footer == f"run {ended.run_id}"


def test_of_many_causes_the_first_are_named_and_the_others_counted(daemon: Daemon, receiver: Receiver) -> None:
    daemon.run(*[dg.Failure(name * 1000) for name in "abcdefgh"])
    daemon.tick()
    lines = receiver.texts[0].splitlines()
    assert len(lines) == 9
    assert lines[-3] == "and 3 more"
    assert max(map(len, lines)) < 330


def test_assets_that_fail_for_one_cause_are_one_line(daemon: Daemon, receiver: Receiver) -> None:
    errors = [
        PermanentError(
            f"401 from GET /v1/{name}: Bad key (request r-{name}). Check the admin key.",
            place=f"openai {name} 2026-11-19",
            cause="401: Bad key",
        )
        for name in ("costs", "usage_completions", "usage_images", "usage_moderations", "users")
    ]
    reasons = [str(error) for error in errors]
    daemon.run(*(failure(str(error), error.days, error.cause) for error in errors))
    daemon.tick()
    _, line, *_ = receiver.texts[0].splitlines()
    names, _, reason = line.partition(": ")
    assert names.endswith(" and 2 more")
    assert reason in reasons


def test_a_run_that_died_has_the_reason_that_dagster_gives(daemon: Daemon, receiver: Receiver) -> None:
    run = dg.DagsterRun("usage", make_new_run_id(), tags={"usage_assets/connection": "chatgpt"})
    daemon.instance.add_run(run)
    daemon.instance.report_run_failed(run, "Run worker process died unexpectedly")
    daemon.tick()
    assert receiver.texts == [
        (
            "usage-assets: chatgpt failed\nchatgpt usage: Run worker process died unexpectedly\n"
            f"{NOTHING_IS_LOST}\nrun {run.run_id}"
        )
    ]


def test_runs_that_died_together_are_one_message(daemon: Daemon, receiver: Receiver) -> None:
    for _ in range(3):
        run = dg.DagsterRun("usage", make_new_run_id(), tags={"usage_assets/connection": "chatgpt"})
        daemon.instance.add_run(run)
        daemon.instance.report_run_failed(run, f"Detected run worker status. Marking run {run.run_id} as failed.")
    assert daemon.tick() == POSTED


def test_runs_that_succeeded_or_were_canceled_are_not_told(daemon: Daemon, receiver: Receiver) -> None:
    daemon.run(None)
    run = dg.DagsterRun("usage", make_new_run_id())
    daemon.instance.add_run(run)
    daemon.instance.report_run_canceled(run)
    assert daemon.tick() == NOTHING_NEW
    assert receiver.messages == []


def test_what_failed_before_the_first_tick_is_not_told(
    receiver: Receiver, clock: time_machine.Traveller, new_instance: NewInstance
) -> None:
    with new_instance() as instance:
        daemon = Daemon(instance, receiver.url)
        daemon.fail()
        clock.shift(1)
        assert daemon.tick() == NOTHING_NEW
        assert receiver.messages == []


def test_runs_of_other_code_are_not_told(daemon: Daemon, receiver: Receiver) -> None:
    daemon.location = "usage_assets"
    for location in ("somebody_else", "usage_assets"):
        repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), "__repository__")
        run = dg.DagsterRun(f"job of {location}", make_new_run_id(), remote_job_origin=RemoteJobOrigin(repository, "j"))
        daemon.instance.add_run(run)
        daemon.instance.report_run_failed(run, "died")
    assert daemon.tick() == POSTED
    assert "job of usage_assets" in receiver.texts[0]


def test_many_failures_are_told_in_several_ticks(daemon: Daemon, receiver: Receiver) -> None:
    ids = [daemon.fail(f"cause {cause}") for cause in "abcdef"]
    assert len(ids) == POSTS_PER_TICK + 2
    assert daemon.tick() == f"{POSTS_PER_TICK} messages posted, 2 runs to read"
    assert daemon.tick() == "2 messages posted"
    assert [text.splitlines()[-1] for text in receiver.texts] == [f"run {run_id}" for run_id in ids]


# One message per cause


def test_while_a_cause_lasts_it_is_told_once_and_then_that_it_is_mended(
    daemon: Daemon, receiver: Receiver, clock: time_machine.Traveller
) -> None:
    for attempt in range(3):
        daemon.fail(f"openai costs 2026-11-1{attempt}: 401 from GET /v1/costs: Bad key (request r-{attempt}).")
        daemon.tick()
        clock.shift(timedelta(hours=6))
    assert len(receiver.messages) == 1
    run_id = daemon.run(None, **{"usage_assets/connection": "openai"})
    daemon.tick()
    assert receiver.texts[1:] == [
        (
            "usage-assets: refreshed again, after: openai: openai costs 2026-11-10: 401 from GET /v1/costs: "
            f"Bad key (request r-0).\nrun {run_id}"
        )
    ]
    clock.shift(1)
    daemon.fail("openai costs 2026-11-19: 401 from GET /v1/costs: Bad key (request r-4).")
    assert daemon.tick() == POSTED, "the same cause again is news"


def test_another_cause_of_the_same_asset_is_told(
    daemon: Daemon, receiver: Receiver, clock: time_machine.Traveller
) -> None:
    for reason in ("refused", "unreachable"):
        daemon.fail(reason)
        assert daemon.tick() == POSTED
        clock.shift(1)
    assert [text.splitlines()[1] for text in receiver.texts] == ["openai/costs: refused", "openai/costs: unreachable"]


def test_a_cause_is_mended_when_all_days_that_failed_have_succeeded(
    daemon: Daemon, receiver: Receiver, clock: time_machine.Traveller
) -> None:
    days = dg.DailyPartitionsDefinition("2026-11-01")

    def run(first: str, last: str, *, fails: bool) -> None:
        @dg.asset(key=["openai", "costs"], partitions_def=days, backfill_policy=dg.BackfillPolicy.single_run())
        def costs() -> None:
            if fails:
                raise dg.Failure("there is no bucket for a day")

        tags = dict(range_tags(date.fromisoformat(first), date.fromisoformat(last)))
        dg.materialize([costs], instance=daemon.instance, tags=tags, raise_on_error=False)
        daemon.tick()
        clock.shift(1)

    run("2026-11-13", "2026-11-19", fails=True)
    run("2026-11-13", "2026-11-15", fails=False)
    run("2026-11-17", "2026-11-19", fails=False)
    run("2026-11-16", "2026-11-16", fails=True)
    assert len(receiver.messages) == 1, "one day fails still"
    run("2026-11-16", "2026-11-16", fails=False)
    assert receiver.texts[1].startswith("usage-assets: refreshed again, after: openai: there is no bucket for a day")


def test_what_port_refuses_from_every_connection_is_one_cause(daemon: Daemon, receiver: Receiver) -> None:
    for connection in ("openai", "anthropic"):

        @dg.asset(key=[connection, "port_sync"])
        def port_sync() -> None:
            raise dg.Failure("Port answered 401: check PORT_CLIENT_ID and PORT_CLIENT_SECRET")

        dg.materialize([port_sync], instance=daemon.instance, raise_on_error=False)
    daemon.tick()
    assert len(receiver.messages) == 1


def test_a_cause_that_no_run_has_met_for_days_is_news_again(
    daemon: Daemon, receiver: Receiver, clock: time_machine.Traveller
) -> None:
    for _ in range(2):
        daemon.fail()
        daemon.tick()
        clock.shift(FORGOTTEN + timedelta(minutes=1))
    assert len(receiver.messages) == 2


def test_a_message_links_to_the_run_where_the_ui_has_an_address(daemon: Daemon, receiver: Receiver) -> None:
    daemon.settings = Settings.load(_env_file=None, usage_ui_url="https://dagster.example/")
    run_id = daemon.fail()
    daemon.tick()
    assert receiver.texts[0].splitlines()[-1] == f"https://dagster.example/runs/{run_id}"


# Failed checks


@dataclass
class Checked:
    """Assets with checks, whose findings a test decides."""

    daemon: Daemon
    clock: time_machine.Traveller
    wrong: dict[str, str] = field(default_factory=dict)
    """What the checks have found so far."""

    def run(
        self,
        found: Mapping[str, str],
        severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
        *,
        has_days: bool = True,
    ) -> str:
        """A run of some days, each with what the check finds (nothing: it passes), and a tick; returns the run's id.

        Without days, a run of the check alone.
        """
        days = dg.DailyPartitionsDefinition("2026-11-01")
        spec = dg.AssetCheckSpec("control_total", asset=["openai", "costs"])
        self.wrong = {day: text for day, text in {**self.wrong, **found}.items() if text}

        @dg.asset(
            key=["openai", "costs"],
            partitions_def=days if has_days else None,
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

        tags = dict(range_tags(date.fromisoformat(min(found)), date.fromisoformat(max(found)))) if has_days else {}
        ended = dg.materialize([costs], instance=self.daemon.instance, tags=tags)
        self.clock.shift(1)
        self.daemon.tick()
        return ended.run_id


@pytest.fixture
def checked(daemon: Daemon, clock: time_machine.Traveller) -> Checked:
    """Runs that succeed, whatever their checks find."""
    return Checked(daemon, clock)


def test_failed_checks_of_a_green_run_are_one_message_with_their_figures(checked: Checked, receiver: Receiver) -> None:
    run_id = checked.run({"2026-11-18": "12.30 here and 12.31 there", "2026-11-19": "1 here and 2 there"})
    assert receiver.texts == [
        (
            "usage-assets: checks of openai failed, 2026-11-18 to 2026-11-19\n"
            "ERROR openai/costs control_total 2026-11-18: 12.30 here and 12.31 there\n"
            f"ERROR openai/costs control_total 2026-11-19: 1 here and 2 there\nrun {run_id}"
        )
    ]


def test_the_same_text_about_the_same_day_is_told_once(checked: Checked, receiver: Receiver, daemon: Daemon) -> None:
    checked.run({"2026-11-18": "1 is 2", "2026-11-19": ""}, dg.AssetCheckSeverity.WARN)
    daemon.cursor = None  # it was lost
    daemon.tick()
    checked.clock.shift(1)
    checked.run({"2026-11-18": "1 is 2", "2026-11-19": "1 is 2"}, dg.AssetCheckSeverity.WARN)
    checked.run({"2026-11-18": "1 is 2", "2026-11-19": "1 is 2"}, dg.AssetCheckSeverity.WARN)
    checked.run({"2026-11-18": "1 is 3", "2026-11-19": ""}, dg.AssetCheckSeverity.WARN)
    assert [text.splitlines()[1:-1] for text in receiver.texts] == [
        ["WARN openai/costs control_total 2026-11-18: 1 is 2"],
        ["WARN openai/costs control_total 2026-11-19: 1 is 2"],
        ["WARN openai/costs control_total 2026-11-18: 1 is 3"],
    ]


def test_a_contradiction_that_was_gone_and_comes_back_is_told_again(checked: Checked, receiver: Receiver) -> None:
    for text in ("1 is 2", "", "1 is 2"):
        checked.run({"2026-11-19": text})
    assert len(receiver.messages) == 2


def test_a_day_that_is_still_wrong_is_not_told_again_by_runs_of_other_days(
    checked: Checked, receiver: Receiver
) -> None:
    checked.run({"2026-11-18": "1 is 2"})
    checked.run({"2026-11-19": ""})
    checked.run({"2026-11-18": "1 is 2"})
    assert len(receiver.messages) == 1


def test_a_check_that_is_run_without_days_takes_off_all_days_but_those_that_it_finds_wrong(
    checked: Checked, receiver: Receiver
) -> None:
    wrong = {"2026-11-17": "1 is 2", "2026-11-18": "1 is 2"}
    checked.run(wrong)
    checked.run({"2026-11-17": "", "2026-11-18": "1 is 2"}, has_days=False)
    checked.run(wrong)
    assert [text.count("1 is 2") for text in receiver.texts] == [2, 1]


def test_an_alert_is_told_once_whatever_its_figures_become_and_again_when_it_was_gone(
    daemon: Daemon, clock: time_machine.Traveller, receiver: Receiver
) -> None:
    def run(**alerts: str) -> None:
        @dg.asset(check_specs=[dg.AssetCheckSpec("budgets", asset="budget_status")])
        def budget_status() -> Iterator[dg.MaterializeResult[None]]:
            found = dg.AssetCheckResult(
                check_name="budgets",
                passed=not alerts,
                severity=dg.AssetCheckSeverity.WARN,
                description="\n".join(alerts.values()),
                metadata={ALERTS: json.dumps(alerts)},
            )
            yield dg.MaterializeResult(check_results=[found])

        dg.materialize([budget_status], instance=daemon.instance)
        clock.shift(1)
        daemon.tick()

    run(half="50% of $10 was reached: $6", most="")
    run(half="50% of $10 was reached: $7", most="")
    assert [text.splitlines()[0] for text in receiver.texts] == ["usage-assets: 50% of $10 was reached: $6"]
    run(half="", most="", all="100% of $10 was reached: $11")
    run(most="")
    run(half="50% of $10 was reached: $5", most="")
    assert [text.splitlines()[0] for text in receiver.texts[1:]] == [
        "usage-assets: 100% of $10 was reached: $11",
        "usage-assets: 50% of $10 was reached: $5",
    ]


REPORT_URL = "https://finops.example.com/ai.html"


def observe(daemon: Daemon, clock: time_machine.Traveller, week: str, *lines: str, alert: str = "") -> str:
    """A run that found something of a week, and perhaps something odd; return what the next tick says."""
    alerts = {"spike": alert} if alert else {}

    @dg.asset(check_specs=[dg.AssetCheckSpec("anomalies", asset="anomalies")])
    def anomalies() -> Iterator[dg.MaterializeResult[None] | dg.AssetObservation]:
        yield dg.AssetObservation("forecast_totals", metadata={WEEK: week, DIGEST: "\n".join(lines)})
        yield dg.AssetObservation("anomalies", metadata={"of": "somebody else"})
        found = dg.AssetCheckResult(
            check_name="anomalies", passed=not alerts, description=alert, metadata={ALERTS: json.dumps(alerts)}
        )
        yield dg.MaterializeResult(check_results=[found])

    dg.materialize([anomalies], instance=daemon.instance)
    clock.shift(1)
    return daemon.tick()


def test_a_week_is_told_once_with_a_link_to_the_report(
    daemon: Daemon, clock: time_machine.Traveller, receiver: Receiver
) -> None:
    observe(daemon, clock, "2026-W46", "AI spend: $7", "November: $20", "Moved most: <web> of bob@example.com")
    observe(daemon, clock, "2026-W46", "AI spend: $8", "November: $21", "Moved most: web")
    assert receiver.texts == ["AI spend: $7\nNovember: $20\nMoved most: &lt;web&gt; of address-dropped"]
    daemon.settings = Settings.load(_env_file=None, openai_admin_key=SECRET, usage_report_url=REPORT_URL)
    observe(daemon, clock, "2026-W47", "AI spend: $9")
    observe(daemon, clock, "2026-W46", "AI spend: $8")
    assert receiver.texts[1:] == [f"AI spend: $9\n{REPORT_URL}"]


def test_a_week_that_was_not_taken_is_told_again_and_one_that_may_have_been_is_not(
    daemon: Daemon, clock: time_machine.Traveller, receiver: Receiver
) -> None:
    receiver.status = 500
    observe(daemon, clock, "2026-W46", "AI spend: $7")
    receiver.status = 200
    assert daemon.tick() == POSTED
    receiver.is_silent = True
    observe(daemon, clock, "2026-W47", "AI spend: $8")
    receiver.is_silent = False
    assert observe(daemon, clock, "2026-W47", "AI spend: $8") == NOTHING_NEW
    assert [text.splitlines()[0] for text in receiver.texts] == ["AI spend: $7", "AI spend: $7", "AI spend: $8"]


def test_an_alert_links_to_the_report_and_to_its_run(
    daemon: Daemon, clock: time_machine.Traveller, receiver: Receiver
) -> None:
    daemon.settings = Settings.load(_env_file=None, openai_admin_key=SECRET, usage_report_url=REPORT_URL)
    observe(daemon, clock, "2026-W46", "AI spend: $7", alert="spike of everything")
    [text] = receiver.texts
    first, alert, report, run = text.splitlines()
    assert (first, alert, report) == ("AI spend: $7", "usage-assets: spike of everything", REPORT_URL)
    assert run.startswith("run ")
    daemon.fail()
    daemon.tick()
    assert REPORT_URL not in receiver.texts[1]


def test_checks_that_were_not_taken_are_sent_again_and_otherwise_never(checked: Checked, receiver: Receiver) -> None:
    receiver.status = 500
    checked.run({"2026-11-19": "1 is 2"})
    receiver.status = 200
    assert checked.daemon.tick() == POSTED
    assert checked.daemon.tick() == NOTHING_NEW
    receiver.is_silent = True
    checked.run({"2026-11-19": "1 is 3"})
    receiver.is_silent = False
    assert checked.daemon.tick() == NOTHING_NEW
    assert len(receiver.messages) == 3


def test_an_idle_tick_is_one_query(checked: Checked, daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    checked.run({"2026-11-19": "1 is 2"})
    asked: list[str] = []
    for name in ("get_run_records", "all_logs", "get_run_by_id"):
        method = getattr(dg.DagsterInstance, name)

        def counting(*arguments: Any, _name: str = name, _method: Any = method, **options: Any) -> Any:
            asked.append(_name)
            return _method(*arguments, **options)

        monkeypatch.setattr(dg.DagsterInstance, name, counting)
    assert daemon.tick() == NOTHING_NEW
    assert asked == ["get_run_records"]


# No secret, no address of a person, no command


def test_secrets_addresses_and_slack_commands_are_not_posted(daemon: Daemon, receiver: Receiver) -> None:
    daemon.fail(f"<!channel> key {SECRET} of bob@example.com & others\n{receiver.url}")
    daemon.settings = Settings.load(
        _env_file=None, openai_admin_key=SECRET, usage_webhook_url=receiver.url, usage_hash_key="of"
    )
    daemon.tick()
    assert receiver.texts[0].splitlines()[1] == (
        "openai/costs: &lt;!channel&gt; key *** of address-dropped &amp; others ***"
    )


def test_a_secret_at_the_end_of_a_long_reason_is_not_cut_into_pieces_that_nobody_knows(
    daemon: Daemon, receiver: Receiver
) -> None:
    daemon.fail("x" * (webhook.REASON_LENGTH - 10) + SECRET)
    daemon.tick()
    assert SECRET[:8] not in receiver.texts[0]


def test_the_address_is_in_no_log_and_no_tag(
    daemon: Daemon, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    said = []
    with caplog.at_level(logging.DEBUG):
        run_id = daemon.fail()
        for receiver.status, receiver.body in ((404, f"no such hook: {PATH}"), (200, "ok")):
            said.append(daemon.tick())
        httpx_logs_again = logging.getLogger("httpx")
        httpx_logs_again.info("something else")
    run = daemon.instance.get_run_by_id(run_id)
    assert run
    logged = [record.getMessage() for record in caplog.records]
    assert "something else" in logged
    assert "secret-token" not in " ".join([*logged, *map(str, said), *run.tags.values()])
    assert said[0] == "0 messages posted, 1 runs to read; USAGE_WEBHOOK_URL answered 404: it is tried again"


def test_a_refused_key_reaches_people_with_what_the_provider_says(
    sandbox: Sandbox, receiver: Receiver, tmp_path: Path
) -> None:
    """The whole product: its graph, its sensor, its reasons."""
    variables = with_main_endpoints(tmp_path) | {"USAGE_WEBHOOK_URL": receiver.url}
    with open_project(sandbox, tmp_path, variables, patience=IMPATIENT) as project:
        _, cursor = evaluated(project)
        sandbox.faults({"route": "GET /openai/v1/organization/costs", "fault": "status", "status": 401})
        ended = project.fetch("openai", last_days(2))
        assert evaluated(project, cursor)[0] == POSTED
    first, *assets, _, last = receiver.texts[0].splitlines()
    assert first == "usage-assets: openai failed, 2026-11-18 to 2026-11-19"
    (asset,) = assets
    assert asset.startswith("openai/costs: openai costs 2026-11-18 to 2026-11-19: 401 from GET /openai/v1/")
    assert last == f"run {ended.run_id}"
    assert not any(secret in receiver.texts[0] for secret in SECRETS)


def evaluated(project: Project, cursor: str | None = None) -> tuple[str, str | None]:
    """What a tick of the product's sensor says, and its cursor."""
    sensor = project.definitions.get_repository_def().get_sensor_def("webhook_sensor")
    with dg.build_sensor_context(instance=project.instance, cursor=cursor) as context:
        data = sensor.evaluate_tick(context)
    return str(data.skip_message), data.cursor


def test_lookups_and_usage_that_one_revoked_key_fails_are_one_message_and_one_when_it_is_mended(
    sandbox: Sandbox, receiver: Receiver, tmp_path: Path
) -> None:
    variables = with_endpoints(tmp_path, "usage_completions") | {"USAGE_WEBHOOK_URL": receiver.url}
    with open_project(sandbox, tmp_path, variables, patience=IMPATIENT) as project:
        _, cursor = evaluated(project)
        body = {"error": {"message": "Incorrect API key provided"}}
        sandbox.faults({"route": "GET /openai/", "fault": "status", "status": 401, "body": body})
        for is_refused in (True, False):
            assert project.look_up("openai").success is not is_refused
            assert project.fetch("openai", last_days(1)).success is not is_refused
            said, cursor = evaluated(project, cursor)
            assert said == POSTED
            sandbox.control("DELETE", "faults")
    refused, mended = receiver.texts
    assert "and 1 more: openai " in refused or "and 2 more: openai " in refused
    assert mended.startswith("usage-assets: refreshed again, after: openai: openai ")


def test_an_invoice_that_differs_from_what_is_stored_reaches_people_from_a_green_run(
    sandbox: Sandbox, receiver: Receiver, tmp_path: Path
) -> None:
    variables = with_main_endpoints(tmp_path) | {"USAGE_WEBHOOK_URL": receiver.url}
    with Path(variables["USAGE_CONNECTIONS"]).open("a") as connections:
        connections.write('[[invoice]]\nconnection = "openai"\nmonth = "2026-10"\ntotal = 1400\nid = "I-1"\n')
    with open_project(sandbox, tmp_path, variables) as project:
        _, cursor = evaluated(project)
        for expected in (POSTED, NOTHING_NEW):
            assert replace(project, checks=True).run("accounting_tables", [dg.AssetKey("accounting")]).success
            said, cursor = evaluated(project, cursor)
            assert said == expected
    header, line, _ = receiver.texts[0].splitlines()
    assert header == "usage-assets: checks of accounting_tables failed"
    assert line.startswith("ERROR accounting invoices: I-1 (openai 2026-10): invoiced 1400 USD, stored 0 USD;")


# A webhook that does not work


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (500, "<html>", "500"),
        (404, "no_service", "404 (no_service)"),
        (302, "", "302"),
        (429, "rate_limited", "429 (rate_limited)"),
    ],
)
def test_a_refused_message_is_one_line_and_is_sent_again(
    daemon: Daemon, receiver: Receiver, status: int, body: str, words: str
) -> None:
    daemon.fail("refused")
    daemon.fail("unreachable")
    receiver.status, receiver.body = status, body
    refused = f"USAGE_WEBHOOK_URL answered {words}: it is tried again"
    assert daemon.tick() == f"0 messages posted, 2 runs to read; {refused}"
    receiver.status = 200
    assert daemon.tick() == "2 messages posted"
    assert daemon.tick() == NOTHING_NEW
    assert len(receiver.messages) == 3


def test_a_refusal_that_breaks_off_is_a_refusal(daemon: Daemon, receiver: Receiver) -> None:
    daemon.fail()
    receiver.status, receiver.body, receiver.promised = 503, "", 50
    assert daemon.tick() == "0 messages posted, 1 runs to read; USAGE_WEBHOOK_URL answered 503: it is tried again"
    receiver.status, receiver.promised = 200, 0
    assert daemon.tick() == POSTED


@contextmanager
def closed_port() -> Iterator[str]:
    """An address that nobody listens at, and nobody else can have meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}{PATH}"


def test_a_webhook_that_cannot_be_reached_is_one_line_and_is_tried_again(daemon: Daemon, receiver: Receiver) -> None:
    daemon.fail()
    with closed_port() as url:
        daemon.url = url
        expected = "USAGE_WEBHOOK_URL cannot be reached (ConnectError): it is tried again"
        assert daemon.tick() == f"0 messages posted, 1 runs to read; {expected}"
    daemon.url = receiver.url
    assert daemon.tick() == POSTED


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


def test_a_tick_waits_for_seconds_only(
    daemon: Daemon, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT_SECONDS", 0.1)
    daemon.fail()
    with socket.create_server(("127.0.0.1", 0)) as nobody_answers:
        daemon.url = f"http://127.0.0.1:{nobody_answers.getsockname()[1]}{PATH}"
        said = daemon.tick()
    assert "gave no answer (ReadTimeout)" in said


@pytest.mark.parametrize("beginning", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 500 Oh\r\nContent-Length: 99\r\n\r\n"])
def test_headers_or_a_body_that_drip_hold_no_tick(
    daemon: Daemon, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    monkeypatch.setattr(webhook, "DEADLINE_SECONDS", 0.3)
    daemon.fail()
    has_ended = Event()

    def drip() -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(beginning)
            while not has_ended.wait(0.05):
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server:
        daemon.url = f"http://127.0.0.1:{server.getsockname()[1]}{PATH}"
        thread = Thread(target=drip)
        thread.start()
        said = daemon.tick()
        has_ended.set()
        thread.join()
    assert "gave no answer (0.3 s): the message may have arrived" in said or "answered 500" in said


def test_a_tick_does_not_wait_for_words_that_it_has_no_use_for(daemon: Daemon, receiver: Receiver) -> None:
    receiver.is_read = Event()
    daemon.fail()
    assert daemon.tick() == POSTED
    receiver.is_read.set()


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


def test_what_could_not_be_told_for_a_day_is_given_up(
    daemon: Daemon, receiver: Receiver, clock: time_machine.Traveller
) -> None:
    daemon.fail()
    receiver.status = 500
    for passed in (timedelta(), GIVE_UP - timedelta(minutes=1)):
        clock.shift(passed)
        assert str(daemon.tick()).startswith("0 messages posted, 1 runs to read")
    clock.shift(timedelta(minutes=2))
    assert daemon.tick() == NOTHING_NEW


def test_no_run_is_changed_by_a_webhook_that_does_not_work(daemon: Daemon, receiver: Receiver) -> None:
    run_id = daemon.fail()
    receiver.status = 500
    events = daemon.instance.all_logs(run_id)
    daemon.tick()
    assert daemon.instance.all_logs(run_id) == events
    run = daemon.instance.get_run_by_id(run_id)
    assert run
    assert run.status is dg.DagsterRunStatus.FAILURE
