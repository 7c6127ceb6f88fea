"""The sensor that posts failed runs, failed checks, alerts and the weekly digest to USAGE_WEBHOOK_URL.

A message is about a cause, not a run. While a cause lasts, further runs that fail because of it are not posted. When
everything that it blocked has succeeded, another message says so. The same text of a check about the same day is
posted once, and so is each alert. What was posted is stored in Dagster's storage (KEY) before the post. So a message
is posted again only if it certainly was not delivered. Dagster's own run_failure_sensor cannot be used: it moves on to
the next run even if a message could not be posted.

The URL is a secret, because anyone who has it can post. It is in no log, cursor or message.
"""

import hashlib
import json
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from threading import Thread

import dagster as dg
import httpx
import msgspec

from usage_assets.assets.checks import DAYS_WRONG
from usage_assets.assets.failures import Reason, by_cause, cause_of, reason_of
from usage_assets.assets.insights import ALERTS, DIGEST, WEEK
from usage_assets.assets.port_insights import PORT_INSIGHTS
from usage_assets.automation.jobs import (
    CONNECTION_TAG,
    PORT_CONNECTION_JOB,
    PORT_RECONCILE_JOB,
    PORT_SYNC_JOB,
    RANGE_END,
    RANGE_START,
)
from usage_assets.config.settings import Settings
from usage_assets.core.addresses import checked_url, is_loopback
from usage_assets.core.bounded_http import unlogged
from usage_assets.core.days import Window, windows
from usage_assets.core.errors import one_line
from usage_assets.core.people import People
from usage_assets.dagster_internals import REPOSITORY_LABEL_TAG
from usage_assets.warehouse.values import listed

KEY = "usage_assets/told"
"""Where Dagster's storage keeps what was posted."""
PARTITION_TAG = "dagster/partition"
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
EVENTS = {
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.ASSET_OBSERVATION,
}
PUSHES = {PORT_SYNC_JOB, PORT_CONNECTION_JOB, PORT_RECONCILE_JOB, PORT_INSIGHTS.path[-1]}
"""Jobs, and the last part of their assets' keys. If one fails because of Port, it fails for every connection."""

POSTS_PER_TICK = 4
SECONDS_PER_TICK = 30
"""After this long, a tick reads no more runs and posts no more messages: Dagster ends it after 60 s."""
TIMEOUT_SECONDS = 5.0
DEADLINE_SECONDS = 10.0
"""For a whole post. httpx limits only each read: a server that sends a byte now and then would block the tick."""
LATE = timedelta(minutes=1)
"""How long after its end a run may become visible: several processes write to the storage at once."""
GIVE_UP = timedelta(days=1)
"""A failure that could not be posted for this long is not posted any more."""
FORGOTTEN = timedelta(days=2)
"""A cause that stopped no run for this long is over: otherwise it would have stopped a scheduled run."""
MOST_LINES = 5
REASON_LENGTH = 300
SHORTEST_SECRET = 8
"""Shorter texts are parts of ordinary words, not keys."""
NOTHING_IS_LOST = (
    "What is stored stays as it is, and what is missing is fetched automatically once this is fixed. "
    "Until then it is not posted again."
)

_SLACK_REASON = re.compile(r"[a-z_ ]{1,60}")
"""How Slack words a refusal: ``no_service``, ``channel_is_archived``. Other texts may contain the URL."""


class WebhookError(Exception):
    """A message was not delivered, or may not have been. The text says why, to be read after the variable's name."""

    def __init__(self, message: str, *, is_certain: bool) -> None:
        super().__init__(message)
        self.is_certain = is_certain
        """Whether the message certainly was not delivered."""


class Cursor(msgspec.Struct):
    """How far the sensor has read the runs."""

    since: datetime
    """The first tick. Runs that ended before it are not posted."""
    until: datetime
    """When the newest run that was read ended."""
    read: dict[str, datetime] = msgspec.field(default_factory=dict)
    """Runs that were read -> when they ended. Only those that ended within LATE of ``until``."""

    @classmethod
    def decode(cls, text: str | None) -> "Cursor":
        """Return the cursor, or one that begins now if the text cannot be read."""
        try:
            return msgspec.json.decode(text or "", type=cls)
        except msgspec.DecodeError:
            return cls(datetime.now(UTC), datetime.now(UTC))

    def note(self, outcome: "Outcome") -> None:
        self.until = max(self.until, outcome.ended_at)
        read = self.read | {outcome.run.run_id: outcome.ended_at}
        self.read = {run: ended_at for run, ended_at in read.items() if ended_at >= self.until - LATE}


class Cause(msgspec.Struct):
    """A cause that lasts, and the assets that it blocks."""

    text: str
    """As it was posted."""
    met_at: datetime
    """When a run last failed because of it."""
    failing: dict[str, list[tuple[date, date]]]
    """Asset -> ranges of days that failed; none for an asset without days."""


class Memory(msgspec.Struct):
    """What was posted."""

    causes: dict[str, Cause] = msgspec.field(default_factory=dict)
    """Digest of subject and cause -> the cause."""
    checks: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)
    """Asset and check -> day (empty for a check without days; the key of an alert) -> digest of its text."""
    week: str = ""
    """The last week whose digest was posted."""


@dataclass(frozen=True)
class Evaluation:
    """What a check found on a day."""

    check: str
    """Asset and check, as people read it."""
    day: str
    """Empty for a check without days."""
    severity: str
    text: str
    """Empty where the check passed."""
    sums_days_up: bool = False
    """Whether it is the check's result for the whole run. Each wrong day has an evaluation of its own."""
    told_once: bool = False
    """Whether it is an alert: ``day`` is its key, and a changed text is not posted again."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    run: dg.DagsterRun
    ended_at: datetime
    failures: Mapping[str, Reason]
    """Asset -> why it failed. If the run failed but no asset did, the run's own name (``whole``) -> why."""
    succeeded: Collection[str]
    """Assets; also the run's own name, if it succeeded."""
    evaluations: Sequence[Evaluation]
    weeks: Mapping[str, str]
    """Week -> its digest."""

    @property
    def connection(self) -> str:
        """The connection that the run was for; empty if that is not known."""
        assets = (name for name in (*self.failures, *self.succeeded) if "/" in name)
        return self.run.tags.get(CONNECTION_TAG) or next((name.partition("/")[0] for name in assets), "")

    @property
    def bounds(self) -> Sequence[str]:
        """The run's first and last day, or its only day; empty for a run without days."""
        tags = (self.run.tags.get(tag) for tag in (RANGE_START, RANGE_END, PARTITION_TAG))
        return [*dict.fromkeys(tag for tag in tags if tag)]

    @property
    def days(self) -> set[date]:
        bounds = [date.fromisoformat(day) for day in self.bounds]
        return {*Window(bounds[0], bounds[-1]).days} if bounds else set()

    def subject(self, asset: str) -> str:
        """What an asset's failure is about: Port, or the connection."""
        return "Port" if asset.rpartition("/")[2] in PUSHES else self.connection or self.run.job_name


@dataclass
class News:
    """What is new about a run, as lines without secrets."""

    failed: list[str] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    digest: list[str] = field(default_factory=list)

    def text(self, outcome: Outcome, link: str, report: str | None) -> str:
        """The message; empty if nothing is new. ``report``: USAGE_REPORT_URL, if it is set."""
        days = f", {' to '.join(outcome.bounds)}" if outcome.bounds else ""
        name = outcome.connection or outcome.run.job_name
        lines = [f"usage-assets: {line}" for line in (*self.mended, *_first(self.alerts))]
        if self.failed:
            lines += [f"usage-assets: {name} failed{days}", *_first(self.failed), NOTHING_IS_LOST]
        if self.checks:
            lines += [f"usage-assets: checks of {name} failed{days}", *_first(self.checks)]
        told = [*lines, link] if lines else []
        seen = [report] if report and (self.alerts or self.digest) else []
        return "\n".join([*self.digest, *told[:-1], *seen, *told[-1:]])


def build_webhook_sensor(settings: Settings, url: str) -> dg.SensorDefinition:
    """Build the sensor that posts to ``url`` about the runs of this code location."""
    secrets, key = settings.secrets(), ":".join(filter(None, (KEY, settings.usage_shard)))

    @dg.sensor(
        name="webhook_sensor",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Posts to USAGE_WEBHOOK_URL: each cause of failed runs, when it is fixed, each failed check, and "
        "the weekly digest",
    )
    def webhook_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        cursor, began = Cursor.decode(context.cursor), time.monotonic()
        waiting, posted, problem = _unread(context, cursor), 0, ""
        while waiting and posted < POSTS_PER_TICK and time.monotonic() < began + SECONDS_PER_TICK:
            outcome = _outcome(context.instance, waiting[0])
            text, memory = _news(_remembered(context.instance, key), outcome, settings, secrets)
            before = _remember(context.instance, key, memory)  # before the post: a tick that dies is repeated
            try:
                if text:
                    post(url, text)
                    posted += 1
            except WebhookError as error:
                problem = f"; USAGE_WEBHOOK_URL {error}"
                if error.is_certain:
                    _remember(context.instance, key, before)
                    break
            cursor.note(outcome)
            del waiting[0]
            if problem:
                break
        rest = f", {len(waiting)} runs to read" if waiting else ""
        return dg.SensorResult(
            skip_reason=f"{posted} messages posted{rest}{problem}" if posted or rest or problem else "nothing is new",
            cursor=msgspec.json.encode(cursor).decode(),
        )

    return webhook_sensor


def _unread(context: dg.SensorEvaluationContext, cursor: Cursor) -> list[dg.RunRecord]:
    """Return the ended runs of this code location that were not read yet, in the order in which they ended."""
    oldest = max(cursor.since, cursor.until - LATE, datetime.now(UTC) - GIVE_UP)
    origin = context.code_location_origin
    ours = {REPOSITORY_LABEL_TAG: f"{context.repository_name}@{origin.location_name}"} if origin else {}
    ended = dg.RunsFilter(statuses=ENDED, tags=ours, updated_after=oldest)
    unread = [
        record
        for record in context.instance.get_run_records(ended)
        if record.dagster_run.run_id not in cursor.read and (record.end_time or 0) >= oldest.timestamp()
    ]
    return sorted(unread, key=lambda record: (record.end_time or 0, record.storage_id))


def _outcome(instance: dg.DagsterInstance, record: dg.RunRecord) -> Outcome:
    run = record.dagster_run
    assets: dict[str, str] = {}
    failures: dict[str, Reason] = {}
    succeeded: list[str] = []
    evaluations: list[Evaluation] = []
    weeks: dict[str, str] = {}
    whole, died = " ".join(filter(None, (run.tags.get(CONNECTION_TAG), run.job_name))), "it gives no reason"
    for entry in instance.all_logs(run.run_id, of_type=EVENTS):
        event = entry.dagster_event
        if event is None:
            continue
        if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED and event.asset_key:
            assets[event.asset_key.to_python_identifier()] = event.asset_key.to_user_string()
        name = assets.get(event.step_key or "", event.step_key or "")
        if event.is_step_success:
            succeeded.append(name)
        elif event.is_step_failure:
            failures[name] = Reason(reason_of(event.step_failure_data), cause_of(event.step_failure_data))
        elif event.is_failure:
            died = event.message or died
        elif isinstance(event.event_specific_data, dg.AssetCheckEvaluation):
            evaluations += _evaluations(event.event_specific_data)
        elif event.event_type is dg.DagsterEventType.ASSET_OBSERVATION:
            facts = {
                name: str(fact.value) for name, fact in event.asset_observation_data.asset_observation.metadata.items()
            }
            weeks |= {facts[WEEK]: facts[DIGEST]} if facts.keys() >= {WEEK, DIGEST} else {}
    if run.status is dg.DagsterRunStatus.FAILURE and not failures:
        failures[whole] = Reason(died, died)
    elif run.status is dg.DagsterRunStatus.SUCCESS:
        succeeded.append(whole)
    return Outcome(run, datetime.fromtimestamp(record.end_time or 0, UTC), failures, succeeded, evaluations, weeks)


def _evaluations(evaluation: dg.AssetCheckEvaluation) -> Iterator[Evaluation]:
    text = "" if evaluation.passed else evaluation.description or "see the run"
    check, severity = f"{evaluation.asset_key.to_user_string()} {evaluation.check_name}", evaluation.severity.value
    if ALERTS in evaluation.metadata:
        yield Evaluation(check, "", severity, text, sums_days_up=True)
        for key, told in json.loads(str(evaluation.metadata[ALERTS].value)).items():
            yield Evaluation(check, key, severity, told, told_once=True)
    else:
        yield Evaluation(
            check, evaluation.partition or "", severity, text, sums_days_up=DAYS_WRONG in evaluation.metadata
        )


def _news(memory: Memory, outcome: Outcome, settings: Settings, secrets: Collection[str]) -> tuple[str, Memory]:
    """Return the message about a run (empty if nothing is new), and what was posted once it is delivered."""
    news = News()
    for asset in outcome.succeeded:
        _note_success(memory, news, asset, outcome)
    for reason, assets in by_cause(outcome.failures).items():
        text = f"{listed(assets, most=3)}: {_shown(reason.text, secrets)}"
        subject = outcome.subject(assets[0])
        key = _digest(subject, reason.fault)
        if key not in memory.causes:
            news.failed.append(text)
        cause = memory.causes.setdefault(key, Cause(f"{subject}: {_shown(reason.text, secrets)}", outcome.ended_at, {}))
        cause.met_at = outcome.ended_at
        for asset in assets:
            cause.failing[asset] = _ranges(_days(cause.failing.get(asset, [])) | outcome.days)
    for each in outcome.evaluations:
        known = memory.checks.setdefault(each.check, {})
        if each.sums_days_up:
            wrong = {other.day for other in outcome.evaluations if other.check == each.check}
            looked_at = {str(day) for day in outcome.days} or known.keys()  # a run of only the check covers every day
            memory.checks[each.check] = {
                day: text for day, text in known.items() if day in wrong or day not in looked_at
            }
        elif each.told_once:
            if each.day not in known and each.text:
                news.alerts.append(_shown(each.text, secrets))
            known[each.day] = ""
        elif not each.text:
            known.pop(each.day, None)
        elif known.get(each.day) != _digest(each.text):
            known[each.day] = _digest(each.text)
            place = " ".join(filter(None, (each.check, each.day)))
            news.checks.append(f"{each.severity} {place}: {_shown(each.text, secrets)}")
    memory.checks = {check: days for check, days in memory.checks.items() if days}
    for week, digest in outcome.weeks.items():
        if week > memory.week:
            memory.week = week
            news.digest = [_shown(line, secrets) for line in digest.splitlines()]
    return news.text(outcome, settings.run_link(outcome.run.run_id), settings.usage_report_url), memory


def _note_success(memory: Memory, news: News, asset: str, outcome: Outcome) -> None:
    """Remove what has succeeded from the causes that blocked it. A cause that blocks nothing more is fixed."""
    for key, cause in list(memory.causes.items()):
        if asset not in cause.failing:
            continue
        if left := _days(cause.failing[asset]) - outcome.days:
            cause.failing[asset] = _ranges(left)
            continue
        del cause.failing[asset]
        if not cause.failing:
            del memory.causes[key]
            news.mended.append(f"refreshed again, after: {cause.text}")


def _remembered(instance: dg.DagsterInstance, key: str) -> Memory:
    """Return what was posted; nothing, if the stored text cannot be read."""
    try:
        memory = msgspec.json.decode(
            instance.daemon_cursor_storage.get_cursor_values({key}).get(key, "{}"), type=Memory
        )
    except msgspec.DecodeError:
        return Memory()
    oldest = datetime.now(UTC) - FORGOTTEN
    memory.causes = {key: cause for key, cause in memory.causes.items() if cause.met_at > oldest}
    return memory


def _remember(instance: dg.DagsterInstance, key: str, memory: Memory) -> Memory:
    """Store what was posted; return what was stored before."""
    before = _remembered(instance, key)
    if memory != before:
        instance.daemon_cursor_storage.set_cursor_values({key: msgspec.json.encode(memory).decode()})
    return before


def _days(ranges: Sequence[tuple[date, date]]) -> set[date]:
    return {day for first, last in ranges for day in Window(first, last).days}


def _ranges(days: Collection[date]) -> list[tuple[date, date]]:
    return [(window.first, window.last) for window in windows(sorted(days), len(days))] if days else []


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]


def _first(lines: Sequence[str]) -> Sequence[str]:
    return [*lines[:MOST_LINES], *([f"and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else [])]


def _shown(reason: str, secrets: Collection[str]) -> str:
    """Return the reason without secrets and addresses. It is escaped: Slack would run ``<!channel>`` as a command."""
    for secret in secrets:
        reason = reason.replace(secret, "***") if len(secret) >= SHORTEST_SECRET else reason
    text = People("ids").scrubbed(one_line(reason))[:REASON_LENGTH]
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def post(url: str, text: str) -> None:
    """Post one message. Raises WebhookError, which contains neither the URL nor a response that may repeat it."""
    answers: list[tuple[int, str] | httpx.RequestError] = []
    poster = Thread(target=lambda: answers.append(_answer(url, text)), name="webhook", daemon=True)
    poster.start()
    poster.join(DEADLINE_SECONDS)  # a thread cannot be stopped: it may go on, but nobody waits for it
    match answers:
        case [(httpx.ConnectError() | httpx.ConnectTimeout() | httpx.ProxyError()) as error]:
            raise WebhookError(f"cannot be reached ({type(error).__name__}): it is tried again", is_certain=True)
        case [httpx.RequestError() as error]:
            raise _no_answer(type(error).__name__)
        case [(status, words)] if not httpx.codes.is_success(status):
            said = f" ({words})" if _SLACK_REASON.fullmatch(words) else ""
            raise WebhookError(f"answered {status}{said}: it is tried again", is_certain=True)
        case []:
            raise _no_answer(f"{DEADLINE_SECONDS:g} s")


def _no_answer(reason: str) -> WebhookError:
    return WebhookError(
        f"gave no answer ({reason}): the message may have arrived and is not sent again", is_certain=False
    )


def _answer(url: str, text: str) -> tuple[int, str] | httpx.RequestError:
    """Return the status and, for a refusal, its first words; or the error, if there is no response."""
    address = checked_url(url)
    try:
        with (
            unlogged(),
            # no proxy can reach this machine's loopback
            httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=not is_loopback(address)) as client,
            client.stream("POST", address, json={"text": text}) as response,
        ):
            return response.status_code, "" if response.is_success else _first_words(response)
    except httpx.RequestError as error:
        return error


def _first_words(response: httpx.Response) -> str:
    """Return the beginning of a refusal; nothing, if the connection breaks off: its status is known anyway.

    Does not read all of it: a server that sends a byte a second would block the tick.
    """
    try:
        return next(response.iter_text(), "")
    except httpx.RequestError:
        return ""
