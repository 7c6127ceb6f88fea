"""Failed runs reach people: real failed runs, a receiver on this machine, the sensor tick by tick."""

import json
import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
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

from usage_assets.automation import webhook
from usage_assets.automation.jobs import range_tags
from usage_assets.automation.webhook import GIVE_UP, RUNS_PER_TICK, build_failure_sensor
from usage_assets_tests.conftest import Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import IMPATIENT, open_project, with_main_endpoints
from usage_assets_tests.terminal import SECRETS

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
PATH = "/services/T0/B0/secret-token"
SECRET = "sk-admin-very-secret"
EVERYONE_TOLD = "every failed run was told"


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
    secrets: Sequence[str] = (SECRET,)
    location: str | None = None

    def tick(self) -> str | None:
        """Run one tick; return what it says."""
        step_names = {"openai__costs": "openai/costs", "openai__usage": "openai/usage"}
        sensor = build_failure_sensor(self.url, step_names, self.secrets)
        with dg.SensorEvaluationContext(
            instance_ref=None,
            instance=self.instance,
            cursor=self.cursor,
            repository_name="__repository__",
            code_location_origin=RegisteredCodeLocationOrigin(self.location) if self.location else None,
        ) as context:
            data = sensor.evaluate_tick(context)
        self.cursor = data.cursor
        return data.skip_message

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
def daemon(clock: time_machine.Traveller, receiver: Receiver) -> Iterator[Daemon]:
    """A daemon whose sensor has had its first tick."""
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(instance, receiver.url)
        assert daemon.tick() == EVERYONE_TOLD
        clock.shift(1)
        yield daemon


def test_a_failed_run_is_told_once_with_its_asset_its_day_its_reason_and_its_id(
    daemon: Daemon, receiver: Receiver
) -> None:
    run_id = daemon.fail()
    assert daemon.tick() == "1 of 1 failed runs told"
    assert daemon.tick() == EVERYONE_TOLD
    assert receiver.paths == [PATH]
    assert receiver.texts == [
        f"usage-assets: openai failed, 2026-11-19\nopenai/costs: OpenAI answered 401: the key was revoked\nrun {run_id}"
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
    header, *assets, footer = receiver.texts[0].splitlines()
    assert header == "usage-assets: openai failed, 2026-11-13 to 2026-11-19"
    assert sorted(assets) == ["openai/costs: refused", "openai/usage: 'the cause'"]
    assert footer == f"run {ended.run_id}"


def test_of_many_assets_the_first_are_named_and_the_others_counted(daemon: Daemon, receiver: Receiver) -> None:
    daemon.run(*[dg.Failure("x" * 1000)] * 8)
    daemon.tick()
    lines = receiver.texts[0].splitlines()
    assert len(lines) == 8
    assert lines[-2] == "and 3 more"
    assert max(map(len, lines)) < 330


def test_a_run_that_died_has_the_reason_that_dagster_gives(daemon: Daemon, receiver: Receiver) -> None:
    run = dg.DagsterRun("usage", make_new_run_id(), tags={"usage_assets/connection": "chatgpt"})
    daemon.instance.add_run(run)
    daemon.instance.report_run_failed(run, "Run worker process died unexpectedly")
    daemon.tick()
    assert receiver.texts == [
        f"usage-assets: chatgpt failed\nusage: Run worker process died unexpectedly\nrun {run.run_id}"
    ]


def test_runs_that_succeeded_or_were_canceled_are_not_told(daemon: Daemon, receiver: Receiver) -> None:
    daemon.run(None)
    run = dg.DagsterRun("usage", make_new_run_id())
    daemon.instance.add_run(run)
    daemon.instance.report_run_canceled(run)
    assert daemon.tick() == EVERYONE_TOLD
    assert receiver.messages == []


def test_what_failed_before_the_first_tick_is_not_told(receiver: Receiver, clock: time_machine.Traveller) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(instance, receiver.url)
        daemon.fail()
        clock.shift(1)
        assert daemon.tick() == EVERYONE_TOLD
        assert receiver.messages == []


def test_runs_of_other_code_are_not_told(daemon: Daemon, receiver: Receiver) -> None:
    daemon.location = "usage_assets"
    for location in ("somebody_else", "usage_assets"):
        repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), "__repository__")
        run = dg.DagsterRun(f"job of {location}", make_new_run_id(), remote_job_origin=RemoteJobOrigin(repository, "j"))
        daemon.instance.add_run(run)
        daemon.instance.report_run_failed(run, "died")
    assert daemon.tick() == "1 of 1 failed runs told"
    assert "job of usage_assets" in receiver.texts[0]


def test_many_failures_are_told_in_several_ticks(daemon: Daemon, receiver: Receiver) -> None:
    ids = [daemon.fail() for _ in range(RUNS_PER_TICK + 2)]
    assert daemon.tick() == f"{RUNS_PER_TICK} of {RUNS_PER_TICK + 2} failed runs told"
    assert daemon.tick() == "2 of 2 failed runs told"
    assert [text.splitlines()[-1] for text in receiver.texts] == [f"run {run_id}" for run_id in ids]


# No secret, no address of a person, no command


def test_secrets_addresses_and_slack_commands_are_not_posted(daemon: Daemon, receiver: Receiver) -> None:
    daemon.fail(f"<!channel> key {SECRET} of bob@example.com & others\n{receiver.url}")
    daemon.secrets = (SECRET, receiver.url, "of")
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
    assert said[0] == "0 of 1 failed runs told; USAGE_WEBHOOK_URL answered 404: it is tried again"


def test_a_refused_key_reaches_people_with_what_the_provider_says(
    sandbox: Sandbox, receiver: Receiver, tmp_path: Path
) -> None:
    """The whole product: its graph, its sensor, its reasons."""
    variables = with_main_endpoints(tmp_path) | {"USAGE_WEBHOOK_URL": receiver.url}
    with open_project(sandbox, tmp_path, variables, patience=IMPATIENT) as project:
        sensor = project.definitions.get_repository_def().get_sensor_def("run_failure_sensor")
        with dg.build_sensor_context(instance=project.instance) as context:
            cursor = sensor.evaluate_tick(context).cursor
        sandbox.faults({"route": "GET /openai/v1/organization/costs", "fault": "status", "status": 401})
        ended = project.fetch("openai", last_days(2))
        with dg.build_sensor_context(instance=project.instance, cursor=cursor) as context:
            assert sensor.evaluate_tick(context).skip_message == "1 of 1 failed runs told"
    first, *assets, last = receiver.texts[0].splitlines()
    assert first == "usage-assets: openai failed, 2026-11-18 to 2026-11-19"
    (asset,) = assets
    assert asset.startswith("openai/costs: openai costs 2026-11-18 to 2026-11-19: 401 from GET /openai/v1/")
    assert last == f"run {ended.run_id}"
    assert not any(secret in receiver.texts[0] for secret in SECRETS)


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
    daemon.fail()
    daemon.fail()
    receiver.status, receiver.body = status, body
    assert daemon.tick() == f"0 of 2 failed runs told; USAGE_WEBHOOK_URL answered {words}: it is tried again"
    receiver.status = 200
    assert daemon.tick() == "2 of 2 failed runs told"
    assert daemon.tick() == EVERYONE_TOLD
    assert len(receiver.messages) == 3


def test_a_refusal_that_breaks_off_is_a_refusal(daemon: Daemon, receiver: Receiver) -> None:
    daemon.fail()
    receiver.status, receiver.body, receiver.promised = 503, "", 50
    assert daemon.tick() == "0 of 1 failed runs told; USAGE_WEBHOOK_URL answered 503: it is tried again"
    receiver.status, receiver.promised = 200, 0
    assert daemon.tick() == "1 of 1 failed runs told"


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
        assert daemon.tick() == f"0 of 1 failed runs told; {expected}"
    daemon.url = receiver.url
    assert daemon.tick() == "1 of 1 failed runs told"


def test_a_message_that_may_have_arrived_is_not_sent_twice(daemon: Daemon, receiver: Receiver) -> None:
    daemon.fail()
    receiver.is_silent = True
    assert daemon.tick() == (
        "0 of 1 failed runs told; USAGE_WEBHOOK_URL gave no answer (RemoteProtocolError): "
        "the message may have arrived and is not sent again"
    )
    receiver.is_silent = False
    assert daemon.tick() == EVERYONE_TOLD
    assert len(receiver.messages) == 1


def test_a_tick_waits_for_seconds_only(
    daemon: Daemon, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT_SECONDS", 0.1)
    daemon.fail()
    with socket.create_server(("127.0.0.1", 0)) as nobody_answers:
        daemon.url = f"http://127.0.0.1:{nobody_answers.getsockname()[1]}{PATH}"
        said = daemon.tick()
    assert said
    assert "gave no answer (ReadTimeout)" in said


def test_a_tick_does_not_wait_for_words_that_it_has_no_use_for(daemon: Daemon, receiver: Receiver) -> None:
    receiver.is_read = Event()
    daemon.fail()
    assert daemon.tick() == "1 of 1 failed runs told"
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
    assert daemon.tick() == EVERYONE_TOLD
    assert len(receiver.messages) == 1


def test_what_could_not_be_told_for_a_day_is_given_up(
    daemon: Daemon, receiver: Receiver, clock: time_machine.Traveller
) -> None:
    daemon.fail()
    receiver.status = 500
    for passed in (timedelta(), GIVE_UP - timedelta(minutes=1)):
        clock.shift(passed)
        assert str(daemon.tick()).startswith("0 of 1 failed runs told")
    clock.shift(timedelta(minutes=2))
    assert daemon.tick() == EVERYONE_TOLD


def test_no_run_is_changed_by_a_webhook_that_does_not_work(daemon: Daemon, receiver: Receiver) -> None:
    run_id = daemon.fail()
    receiver.status = 500
    events = daemon.instance.all_logs(run_id)
    daemon.tick()
    assert daemon.instance.all_logs(run_id) == events
    run = daemon.instance.get_run_by_id(run_id)
    assert run
    assert run.status is dg.DagsterRunStatus.FAILURE
