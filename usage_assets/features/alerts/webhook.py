"""The sensor that posts failed runs, failed checks, alerts and the weekly digest to USAGE_WEBHOOK_URL.

A post is about a cause, not a run (alarms.py). What was posted, what waits and which runs were read is stored as one
value in Dagster's storage (KEY), before each post. So a message is posted again only if it certainly was not delivered.
If the process dies, nothing is lost but a message that was being sent. Dagster's own run_failure_sensor cannot be used:
it moves on to the next run even if a message could not be posted.

The URL is a secret, because anyone who has it can post. It is in no log, cursor or message.
"""

import re
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import partial
from threading import Thread

import dagster as dg
import duckdb
import httpx
import msgspec

from usage_assets.assets.names import ALONE, REPOSITORY_LABEL_TAG, Names
from usage_assets.assets.warehouse_resource import UNDER_WAY
from usage_assets.config.settings import Settings
from usage_assets.core.addresses import checked_url, is_loopback
from usage_assets.core.bounded_http import only_host_logged, without_words
from usage_assets.core.days import counted, windows
from usage_assets.core.errors import first, one_line
from usage_assets.core.people import People
from usage_assets.core.redaction import Redactor, parts_of_address
from usage_assets.features.alerts.alarms import Cursor, Memory, Words, next_post
from usage_assets.features.alerts.ended_runs import read_run
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.opened import warehouse_at
from usage_assets.warehouse.values import WarehouseError, listed

KEY = "usage_assets/told"
"""Where Dagster's storage keeps what was posted."""
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
POSTS_PER_TICK = 4
SECONDS_PER_TICK = 30
"""After this long, a tick reads no more runs and posts no more messages: Dagster ends it after 60 s."""
TIMEOUT_SECONDS = 5.0
DEADLINE_SECONDS = 10.0
"""For a whole post. httpx limits only each read: a server that sends a byte now and then would block the tick."""
REASON_LENGTH = 300
STORED = """
select usage_date
from ledger.stored_days
where connection = $connection and table_name = $table
"""

_SLACK_REASON = re.compile(r"[a-z_ ]{1,60}")
"""How Slack words a refusal: ``no_service``, ``channel_is_archived``. Other texts may contain the URL."""


class WebhookError(Exception):
    """A message was not delivered, or may not have been. The text says why, to be read after the variable's name."""

    def __init__(self, message: str, *, is_certain: bool) -> None:
        super().__init__(message)
        self.is_certain = is_certain
        """Whether the message certainly was not delivered."""


def build_webhook_sensor(settings: Settings, url: str, names: Names = ALONE) -> dg.SensorDefinition:
    """Build the sensor that posts to ``url`` about the runs of this code location."""
    key = ":".join((KEY, *names.key_prefix, *filter(None, [settings.usage_shard])))
    shown, costs = partial(_shown, redactor=settings.redactor()), cost_tables(settings)
    warehouse = warehouse_at(settings.warehouse)
    of_costs = partial(stored_costs, warehouse, costs)
    words = Words(settings.run_link, settings.usage_report_url, costs.keys(), of_costs)

    @dg.sensor(
        name=names.own("webhook_sensor"),
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Posts to USAGE_WEBHOOK_URL: each cause of failed runs with all that it blocks, when it is fixed, "
        "what checks find, alerts, and the weekly digest",
    )
    def webhook_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        began, storage = time.monotonic(), context.instance.daemon_cursor_storage
        stored = storage.get_cursor_values({key}).get(key, "{}")
        memory = Memory.decoded(stored)
        memory.position = position = memory.position or _first_position(context.cursor)

        def remember(memory: Memory) -> None:
            nonlocal stored
            if (encoded := memory.encoded()) != stored:
                storage.set_cursor_values({key: encoded})
                stored = encoded

        unread = [record for record in _unread(context, position) if names.has_run(record.dagster_run)]
        while unread and time.monotonic() < began + SECONDS_PER_TICK:
            outcome = read_run(context.instance, unread.pop(0), names)
            memory.note(outcome, shown, costs)
            position.note(outcome.run.run_id, outcome.ended_at)
        remember(memory)
        posted, problem = 0, ""
        is_quiet = memory.to_post > 0 and not _under_way(context, names)
        while not problem and posted < POSTS_PER_TICK and time.monotonic() < began + SECONDS_PER_TICK:
            before = memory.encoded()
            if (text := next_post(memory, words, is_quiet=is_quiet)) is None:
                break
            remember(memory)  # before the post: a tick that dies posts nothing twice
            try:
                post(url, text)
                posted += 1
            except WebhookError as error:
                problem = f"USAGE_WEBHOOK_URL {error}"
                if error.is_certain:
                    memory = Memory.decoded(before)
                    remember(memory)
        counts = [
            *([f"{counted(posted, 'message')} posted"] if posted or problem else []),
            *([f"{counted(len(unread), 'run')} to read"] if unread else []),
            *([f"{memory.to_post} to post"] if memory.to_post else []),
        ]
        said = "; ".join(filter(None, [", ".join(counts), problem]))
        return dg.SensorResult(skip_reason=said or "nothing is new")

    return webhook_sensor


def cost_tables(settings: Settings) -> Mapping[str, str]:
    """Return the assets that fetch what is billed, or else what costs are estimated from -> their tables."""
    found: dict[str, str] = {}
    for connection in settings.connections():
        sources = PROVIDERS[connection.provider].costs
        for source in [each for each in sources if each.billed_totals] or sources:
            found[f"{connection.name}/{source.table.partition('.')[2]}"] = source.table
    return found


def stored_costs(warehouse: Warehouse, tables: Mapping[str, str], failing: Mapping[str, set[date]]) -> str:
    """Say up to which day costs are stored; per connection, if they differ. ``failing``: asset -> days that failed."""
    found: dict[str, list[str]] = {}
    try:
        with warehouse.reading() as database:
            for asset, days in failing.items():
                connection = asset.partition("/")[0]
                named = {"connection": connection, "table": tables[asset]}
                stored = {day for (day,) in database.execute(STORED, named).fetchall()}
                found.setdefault(_of_costs(stored, days), []).append(connection)
    except (WarehouseError, duckdb.Error):  # nothing is published yet
        return "costs are among them"
    if len(found) == 1:
        return next(iter(found))
    return "; ".join(first([f"{said} ({listed(dict.fromkeys(names), most=3)})" for said, names in found.items()], 3))


def _of_costs(stored: set[date], failing: set[date]) -> str:
    missing = failing - stored
    if not stored:
        return "no costs are stored"
    if not missing:
        return f"costs are stored up to {max(stored)}, and not updated"
    if min(missing) > max(stored):
        return f"costs stop at {max(stored)}"
    days = map(str, windows(missing, len(missing)))
    return f"costs of {counted(len(missing))} are missing: {listed(days, most=3)}"


def _first_position(cursor: str | None) -> Cursor:
    """Return where an earlier release has stopped reading; without one, now."""
    try:
        return msgspec.json.decode(cursor or "", type=Cursor)
    except msgspec.DecodeError:
        return Cursor(datetime.now(UTC), datetime.now(UTC))


def _ours(context: dg.SensorEvaluationContext) -> Mapping[str, str]:
    """Return the tags of the runs of this code location."""
    origin = context.code_location_origin
    return {REPOSITORY_LABEL_TAG: f"{context.repository_name}@{origin.location_name}"} if origin else {}


def _unread(context: dg.SensorEvaluationContext, position: Cursor) -> list[dg.RunRecord]:
    """Return the ended runs of this code location that were not read yet, in the order in which they ended."""
    oldest = position.oldest
    ended = dg.RunsFilter(statuses=ENDED, tags=_ours(context), updated_after=oldest)
    unread = [
        record
        for record in context.instance.get_run_records(ended)
        if record.dagster_run.run_id not in position.read and (record.end_time or 0) >= oldest.timestamp()
    ]
    return sorted(unread, key=lambda record: (record.end_time or 0, record.storage_id))


def _under_way(context: dg.SensorEvaluationContext, names: Names) -> bool:
    running = dg.RunsFilter(statuses=[*UNDER_WAY], tags=_ours(context))
    return names.has_runs(context.instance, running)


def _shown(reason: str, redactor: Redactor) -> str:
    """Return the reason without secrets and addresses. It is escaped: Slack would run ``<!channel>`` as a command."""
    text = People("ids").scrubbed(one_line(redactor.redacted(reason)))[:REASON_LENGTH]
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def post(url: str, text: str) -> None:
    """Post one message. Raises WebhookError, which contains neither the URL nor a response that may repeat it."""
    answers: list[tuple[int, str] | Exception] = []
    poster = Thread(target=lambda: answers.append(_answer(url, text)), name="webhook", daemon=True)
    poster.start()
    poster.join(DEADLINE_SECONDS)  # a thread cannot be stopped: it may go on, but nobody waits for it
    match answers:
        case [(httpx.ConnectError() | httpx.ConnectTimeout() | httpx.ProxyError()) as error]:
            raise WebhookError(f"cannot be reached ({type(error).__name__}): it is tried again", is_certain=True)
        case [httpx.RequestError() as error]:
            raise _no_answer(type(error).__name__)
        case [Exception() as error]:  # its text may contain a proxy's password
            why = "is SSL_CERT_FILE, SSL_CERT_DIR or HTTPS_PROXY right? It is tried again"
            raise WebhookError(f"cannot be asked ({type(error).__name__}): {why}", is_certain=True)
        case [(status, words)] if not httpx.codes.is_success(status):
            path, known = parts_of_address(url)
            is_shown = _SLACK_REASON.fullmatch(words) and Redactor([path], known).redacted(words) == words
            said = f" ({words})" if is_shown else ""
            raise WebhookError(f"answered {status}{said}: it is tried again", is_certain=True)
        case []:
            raise _no_answer(f"{DEADLINE_SECONDS:g} s")


def _no_answer(reason: str) -> WebhookError:
    return WebhookError(
        f"gave no answer ({reason}): the message may have arrived and is not sent again", is_certain=False
    )


def _answer(url: str, text: str) -> tuple[int, str] | Exception:
    """Return the status and, for a refusal, its first words; or the error, if there is no response.

    An error that is no RequestError came before the request: certificates or a proxy that cannot be used.
    """
    address = checked_url(url)
    try:
        with (
            # no proxy can reach this machine's loopback
            without_words(httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=not is_loopback(address))) as client,
            client.stream("POST", **only_host_logged(address), json={"text": text}) as response,
        ):
            return response.status_code, "" if response.is_success else _first_words(response)
    except (httpx.RequestError, httpx.InvalidURL, OSError, ValueError, ImportError) as error:
        return error


def _first_words(response: httpx.Response) -> str:
    """Return the beginning of a refusal; nothing, if the connection breaks off: its status is known anyway.

    Does not read all of it: a server that sends a byte a second would block the tick.
    """
    try:
        return next(response.iter_text(), "")
    except httpx.RequestError:
        return ""
