"""The sensor that fetches the past of a new connection once: as far as the provider serves, the newest days first.

It asks Dagster for its own run under way, and which days are stored when it plans the next one; an idle tick asks for
nothing. Recent days are the schedules' business, pushes those of sensors.py.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial

import dagster as dg
import msgspec

from usage_assets.assets.connected import earliest_day
from usage_assets.automation.jobs import CONNECTION_TAG, USAGE_JOB, range_tags
from usage_assets.automation.sensors import outcome_of
from usage_assets.partitions import MAX_PARTITIONS_PER_RUN, utc_today
from usage_assets.providers import PROVIDERS
from usage_assets.providers.windows import DAY, Window
from usage_assets.settings import Connection

MAX_ATTEMPTS = 3
RETRY_PAUSE = timedelta(minutes=10)
"""Before the second attempt; doubled before the third. The fetch itself has waited out what passes in seconds."""
PRIORITY = {"dagster/priority": "-10"}
"""Whatever else is in Dagster's queue goes first."""


class History(msgspec.Struct, array_like=True):
    """How far the history of one connection is. Only ``until`` moves: from yesterday to before the earliest day."""

    asked: str
    """Digest of what decides what the provider answers: after a change, days that are stored count no more."""
    assets: str
    """Digest of the assets and the first day: after a change, what is missing is looked for again."""
    began: int
    """Unix seconds; part of the run keys, which Dagster accepts once for ever."""
    after: int
    """Event that was the newest when days stopped counting: those of later events are stored as they are asked now."""
    until: date
    """The newest day that is not settled."""
    first: date
    """The first day of the run under way, which reaches to ``until``."""
    run: str = ""
    """Run key of the run under way."""
    attempts: int = 0
    """Attempts that have failed for the days up to ``until``."""
    failed_at: int = 0
    """Unix seconds at which the last of them was seen to have failed."""
    failed: list[tuple[date, date]] = []
    """Days that were given up."""

    def go_on_before(self, day: date) -> None:
        """Call everything from the day on settled."""
        self.until, self.attempts = day - DAY, 0


def build_history_sensor(
    connections: Sequence[Connection],
    usage_keys: Mapping[str, Sequence[dg.AssetKey]],
    *,
    max_days: int = MAX_PARTITIONS_PER_RUN,
) -> dg.SensorDefinition:
    """Build the sensor over the connections that have a key; without any it is there, but does not run."""
    asked = {each.name: each for each in connections if each.key and usage_keys.get(each.name)}

    @dg.sensor(
        name="history_sensor",
        job_name=USAGE_JOB,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING if asked else dg.DefaultSensorStatus.STOPPED,
        description="Fetches the past of a new connection once, newest days first: one run of a connection at a time",
    )
    def history_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        configured = {connection.name for connection in connections}
        histories = {name: history for name, history in _decoded(context.cursor).items() if name in configured}
        requests: list[dg.RunRequest] = []
        for name, connection in asked.items():
            history = histories.get(name)
            if history and not _settled(context.instance, history):
                continue
            history = histories[name] = _current(context.instance, connection, usage_keys[name], history)
            if window := _next(context.instance, connection, usage_keys[name], history, max_days):
                requests.append(_request(name, usage_keys[name], history, window))
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else _in_words(histories),
            cursor=msgspec.json.encode(histories).decode(),
        )

    return history_sensor


def _decoded(cursor: str | None) -> dict[str, History]:
    """Return the histories; with an unreadable cursor all begin again, and days that are stored are passed over."""
    try:
        return msgspec.json.decode(cursor or "{}", type=dict[str, History])
    except msgspec.DecodeError:
        return {}


def _settled(instance: dg.DagsterInstance, history: History) -> bool:
    """Note what became of the run under way; return whether there is none any more."""
    succeeded = outcome_of(instance, history.run) if history.run else None
    if succeeded is None:
        return not history.run
    history.run = ""
    if not succeeded:
        history.attempts, history.failed_at = history.attempts + 1, _now()
        if history.attempts < MAX_ATTEMPTS:
            return True
        history.failed.append((history.first, history.until))
    history.go_on_before(history.first)
    return True


def _current(
    instance: dg.DagsterInstance, connection: Connection, keys: Sequence[dg.AssetKey], history: History | None
) -> History:
    """Return the history, or one that begins now: the connection is new, or is asked for something else than before.

    A change of the base URL, the key or the pace is no such thing.
    """
    filters = sorted((name, sorted(values)) for name, values in connection.filters.items())
    is_told = not PROVIDERS[connection.provider].names_organization
    scope = (connection.organization if is_told else None, connection.project, connection.workspace_id)
    asked = _digest(connection.provider, connection.people, *scope, *filters)
    assets = _digest(connection.start_date, *sorted(key.to_user_string() for key in keys))
    if history and (history.asked, history.assets) == (asked, assets):
        return history
    after = 0 if history is None else history.after if history.asked == asked else _newest_event(instance, keys)
    yesterday = utc_today() - DAY
    return History(asked, assets, _now(), after, until=yesterday, first=yesterday)


def _newest_event(instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey]) -> int:
    records = (record.asset_entry.last_materialization_record for record in instance.get_asset_records(list(keys)))
    return max((record.storage_id for record in records if record), default=0)


def _next(
    instance: dg.DagsterInstance,
    connection: Connection,
    keys: Sequence[dg.AssetKey],
    history: History,
    max_days: int,
) -> Window | None:
    """Return the newest days of which an asset lacks one, and pass over those that are stored already."""
    if history.attempts and _now() < history.failed_at + _pause(history.attempts):
        return None
    earliest = earliest_day(connection, PROVIDERS[connection.provider])
    stored = cache(partial(instance.get_materialized_partitions, after_cursor=history.after))
    while history.until >= earliest:
        window = Window(max(earliest, history.until - DAY * (max_days - 1)), history.until)
        days = {day.isoformat() for day in window.days}
        if not all(days <= stored(key) for key in keys):
            return window
        history.go_on_before(window.first)
    return None


def _request(name: str, keys: Sequence[dg.AssetKey], history: History, window: Window) -> dg.RunRequest:
    history.first = window.first
    history.run = f"history:{name}:{history.began}:{window.first}:{window.last}:{history.attempts + 1}"
    return dg.RunRequest(
        run_key=history.run,
        asset_selection=list(keys),
        tags={**range_tags(window.first, window.last), **PRIORITY, CONNECTION_TAG: name},
    )


def _in_words(histories: Mapping[str, History]) -> str:
    under_way = [f"{name} {Window(each.first, each.until)}" for name, each in histories.items() if each.run]
    again = [f"{name} up to {each.until}" for name, each in histories.items() if each.attempts and not each.run]
    failed = [f"{name} {Window(*days)}" for name, each in histories.items() for days in each.failed]
    states = {
        "being fetched": under_way,
        "failed, another attempt follows": again,
        f"given up after {MAX_ATTEMPTS} failed runs (mend what they say, then reset this sensor's cursor)": failed,
    }
    words = [f"{', '.join(which)}: {state}" for state, which in states.items() if which]
    return "; ".join(words) or "the whole past of every connection is stored"


def _pause(attempts: int) -> int:
    return int(RETRY_PAUSE.total_seconds()) << (attempts - 1)


def _digest(*facts: object) -> str:
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]


def _now() -> int:
    return int(datetime.now(UTC).timestamp())
