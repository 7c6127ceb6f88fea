"""The sensor that tells people of failed runs: one message a run to USAGE_WEBHOOK_URL, in the form that Slack takes.

Dagster's own run_failure_sensor goes on to the next run also where nobody could be told. Here a tag of the run says
what became of its message: it is sent again where it certainly was not taken, and otherwise never twice. The address
is a secret, because whoever has it can post: it stands in no log, no tag and no reason.
"""

import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import dagster as dg
import httpx
from dagster._core.storage.tags import REPOSITORY_LABEL_TAG

from usage_assets.addresses import checked_url, is_loopback
from usage_assets.automation.jobs import CONNECTION_TAG, RANGE_END, RANGE_START
from usage_assets.failures import one_line, reason_of
from usage_assets.people import People

WEBHOOK_TAG = "usage_assets/webhook"
SENT, NOT_TAKEN = "sent", "not taken"
PARTITION_TAG = "dagster/partition"

RUNS_PER_TICK = 5
"""A tick may last 60 s, and an answer 10 s."""
TIMEOUT_SECONDS = 5.0
GIVE_UP = timedelta(days=1)
"""A failure that could not be told for so long is no news any more."""
MOST_ASSETS = 5
REASON_LENGTH = 300
SHORTEST_SECRET = 8
"""Anything shorter is part of ordinary words, and nobody's key."""

_SLACK_REASON = re.compile(r"[a-z_ ]{1,60}")
"""What Slack says of a refusal: ``no_service``, ``channel_is_archived``. Other texts may repeat the address."""


class WebhookError(Exception):
    """A message was not taken, or nobody knows: why, in words that follow the variable's name."""

    def __init__(self, message: str, *, is_certain: bool) -> None:
        super().__init__(message)
        self.is_certain = is_certain
        """That it was not taken."""


def build_failure_sensor(url: str, step_names: Mapping[str, str], secrets: Collection[str]) -> dg.SensorDefinition:
    """Build the sensor that posts to the address. ``step_names``: step -> asset. ``secrets`` are never posted."""

    @dg.sensor(
        name="run_failure_sensor",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Posts to USAGE_WEBHOOK_URL, once for each failed run: what failed, why, and the run's id",
    )
    def run_failure_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        # the cursor is the first tick: what failed before that is no news
        since = datetime.fromisoformat(context.cursor) if context.cursor else datetime.now(UTC)
        untold = _untold(context, since)
        told, problem = 0, ""
        for run in untold[:RUNS_PER_TICK]:
            text = failure_text(context.instance, run, step_names, secrets)
            # before it is sent: a tick that dies is repeated
            context.instance.add_run_tags(run.run_id, {WEBHOOK_TAG: SENT})
            try:
                post(url, text)
            except WebhookError as error:
                if error.is_certain:
                    context.instance.add_run_tags(run.run_id, {WEBHOOK_TAG: NOT_TAKEN})
                problem = f"; USAGE_WEBHOOK_URL {error}"
                break
            told += 1
        said = f"{told} of {len(untold)} failed runs told{problem}" if untold else "every failed run was told"
        return dg.SensorResult(skip_reason=said, cursor=since.isoformat())

    return run_failure_sensor


def _untold(context: dg.SensorEvaluationContext, since: datetime) -> Sequence[dg.DagsterRun]:
    """Return the failed runs of this code location that nobody was told of, the oldest first."""
    oldest = max(since, datetime.now(UTC) - GIVE_UP)
    origin = context.code_location_origin
    ours = {REPOSITORY_LABEL_TAG: f"{context.repository_name}@{origin.location_name}"} if origin else {}
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], tags=ours, updated_after=oldest)
    return [
        record.dagster_run
        for record in context.instance.get_run_records(failed, ascending=True)
        if record.dagster_run.tags.get(WEBHOOK_TAG) != SENT and (record.end_time or 0) >= oldest.timestamp()
    ]


def failure_text(
    instance: dg.DagsterInstance, run: dg.DagsterRun, step_names: Mapping[str, str], secrets: Collection[str]
) -> str:
    """Return what failed and why, an asset a line, with the run's id; without secrets and addresses of people."""
    failures = _failures(instance, run, step_names)
    connection = run.tags.get(CONNECTION_TAG) or next((name.partition("/")[0] for name in failures if "/" in name), "")
    days = [run.tags[tag] for tag in (RANGE_START, RANGE_END, PARTITION_TAG) if tag in run.tags]
    lines = [
        f"usage-assets: {connection or 'a run'} failed{', ' if days else ''}{' to '.join(dict.fromkeys(days))}",
        *(f"{name}: {_shown(reason, secrets)}" for name, reason in [*failures.items()][:MOST_ASSETS]),
        *([f"and {len(failures) - MOST_ASSETS} more"] if len(failures) > MOST_ASSETS else []),
        f"run {run.run_id}",
    ]
    return "\n".join(lines)


def _failures(instance: dg.DagsterInstance, run: dg.DagsterRun, step_names: Mapping[str, str]) -> dict[str, str]:
    """Return the reason of each failed asset; where no asset could even begin, that of the run."""
    failures = {}
    for entry in instance.all_logs(run.run_id, dg.DagsterEventType.STEP_FAILURE):
        if (event := entry.dagster_event) and event.step_key:
            failures[step_names.get(event.step_key, event.step_key)] = reason_of(event.step_failure_data)
    if failures:
        return failures
    ends = [entry.dagster_event for entry in instance.all_logs(run.run_id, dg.DagsterEventType.RUN_FAILURE)]
    return {run.job_name: next((end.message for end in ends if end and end.message), None) or "it gives no reason"}


def _shown(reason: str, secrets: Collection[str]) -> str:
    """The reason as others may read it. Slack would take ``<!channel>`` for a command."""
    for secret in secrets:
        reason = reason.replace(secret, "***") if len(secret) >= SHORTEST_SECRET else reason
    text = People("ids").scrubbed(one_line(reason))[:REASON_LENGTH]
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def post(url: str, text: str) -> None:
    """Post one message. Raises WebhookError, which names neither the address nor what the answer says of it."""
    address = checked_url(url)
    try:
        with (
            _without_log(),
            # no proxy can reach this machine's loopback
            httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=not is_loopback(address)) as client,
            client.stream("POST", address, json={"text": text}) as response,
        ):
            words = "" if response.is_success else _first_words(response)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
        raise WebhookError(f"cannot be reached ({type(error).__name__}): it is tried again", is_certain=True) from None
    except httpx.RequestError as error:
        reason = f"gave no answer ({type(error).__name__}): the message may have arrived and is not sent again"
        raise WebhookError(reason, is_certain=False) from None
    if not response.is_success:
        said = f" ({words})" if _SLACK_REASON.fullmatch(words) else ""
        raise WebhookError(f"answered {response.status_code}{said}: it is tried again", is_certain=True)


def _first_words(response: httpx.Response) -> str:
    """Return what a refusal begins with; nothing where it breaks off: its status is known all the same.

    Not all of it: a server that sends a byte a second would hold the tick.
    """
    try:
        return next(response.iter_text(), "")
    except httpx.RequestError:
        return ""


@contextmanager
def _without_log() -> Iterator[None]:
    """Let httpx log no request, which it does with the address."""

    def nothing(_: logging.LogRecord) -> bool:
        return False

    logger = logging.getLogger("httpx")
    logger.addFilter(nothing)
    try:
        yield
    finally:
        logger.removeFilter(nothing)
