"""The sensor that turns changed days into pushes to Port.

It reads only Dagster's event log: no HTTP, no database file, no look-up per partition. A day is pending from the event
that says that it changed until a push of it has succeeded. So nothing is lost if the daemon restarts between two ticks,
a push fails or the cursor is lost (a lost cursor costs one diff).
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from typing import Any

import dagster as dg
import msgspec

from usage_assets.assets.failures import failed_steps, reason_of
from usage_assets.automation.jobs import CONNECTION_TAG, PORT_SYNC_JOB, port_sync_key, range_tags
from usage_assets.core.days import MOST_DAYS, Window, windows
from usage_assets.local.workers import last_heard_of

EVENTS_PER_TICK = 500
"""Of one asset; the rest is read by the next tick (a tick may last 60 s, 5,000 events take 2 s)."""
MAX_ATTEMPTS = 10
RETRY_PAUSE = timedelta(minutes=1)
"""Before the second attempt; doubled before each further one."""
LONGEST_PAUSE = timedelta(minutes=60)
"""Ten attempts take four hours: most outages are shorter."""
LIFETIME = timedelta(hours=1)
"""A run that has logged nothing for longer is taken for dead: one whose process was killed stays "started" for ever."""
RUN_KEY_TAG = "dagster/run_key"
REASON_LENGTH = 300
"""What the cursor keeps of a failed push's message: it names the first entities that Port refused."""


class Mark(msgspec.Struct, array_like=True, frozen=True):
    """The last event that was read of an asset. SQLite gives the ids of deleted runs out again; the time tells."""

    storage_id: int = 0
    timestamp: float = 0

    @classmethod
    def of(cls, event: dg.EventLogRecord) -> "Mark":
        return cls(event.storage_id, event.timestamp)


class Pending(msgspec.Struct, array_like=True):
    """A changed day that Port does not have yet. ``storage_id`` is that of its newest event."""

    storage_id: int = 0
    content: str = ""
    run_id: str = ""
    """The run of that event: its other assets may still be coming, so the push waits until it has finished."""
    attempts: int = 0
    failed_at: int = 0
    """Unix seconds at which the last attempt was seen to have failed."""
    push: str = ""
    """Run key of the push that was requested."""
    unsent: bool = True
    """Whether a change has come since that request: it needs a push of its own."""
    reason: str = ""
    """What the last attempt said of its failure."""


class StoredCursor(msgspec.Struct):
    """The cursor as Dagster keeps it, a copy with every tick: contiguous days with equal facts are one entry.

    A year of three connections is 1 kB while it is pushed or parked; an entry per day would be 100 kB every 10 seconds.
    """

    read: dict[str, Mark] = msgspec.field(default_factory=dict)
    pending: dict[str, list[tuple[date, date, Pending]]] = msgspec.field(default_factory=dict)


class Cursor(msgspec.Struct):
    """What the sensor knows between ticks: how far each asset's events were read, and what is pending."""

    read: dict[str, Mark] = msgspec.field(default_factory=dict)
    pending: dict[str, dict[str, Pending]] = msgspec.field(default_factory=dict)
    """Connection -> day -> change."""

    @classmethod
    def decode(cls, text: str | None) -> "Cursor":
        """Return the cursor; an unreadable one starts again from the first event, and the diff sends nothing twice."""
        try:
            stored = msgspec.json.decode(text or "{}", type=StoredCursor)
        except msgspec.DecodeError:
            stored = StoredCursor()
        return cls(stored.read, {connection: _days(ranges) for connection, ranges in stored.pending.items()})

    def encode(self) -> str:
        stored = StoredCursor(self.read, {connection: _ranges(days) for connection, days in self.pending.items()})
        return msgspec.json.encode(stored).decode()


def _days(ranges: Sequence[tuple[date, date, Pending]]) -> dict[str, Pending]:
    return {
        day.isoformat(): msgspec.structs.replace(pending)
        for first, last, pending in ranges
        for day in Window(first, last).days
    }


def _ranges(days: Mapping[str, Pending]) -> list[tuple[date, date, Pending]]:
    equal: dict[tuple[Any, ...], list[date]] = {}
    for day, pending in days.items():
        equal.setdefault(msgspec.structs.astuple(pending), []).append(date.fromisoformat(day))
    return [
        (window.first, window.last, Pending(*facts))
        for facts, group in equal.items()
        for window in windows(group, len(group))
    ]


def build_port_sensor(
    entities_of: Mapping[str, Sequence[dg.AssetKey]], *, running: bool, last_day: Callable[[], date]
) -> dg.SensorDefinition:
    """Build the sensor over each connection's entity assets. ``last_day`` is the newest that has a partition: today is
    stored and has none where USAGE_INCLUDE_TODAY was switched off."""

    @dg.sensor(
        name="port_changed_partitions_sensor",
        job_name=PORT_SYNC_JOB,
        minimum_interval_seconds=10,
        default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
        description="Pushes days whose entities changed to Port: one run per connection and range of days",
    )
    def port_changed_partitions_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        cursor = Cursor.decode(context.cursor)
        watched = {key: connection for connection, keys in entities_of.items() for key in keys}
        watched |= {port_sync_key(connection): connection for connection in entities_of}
        _forget_removed(cursor, watched)
        _settle(context.instance, cursor)
        if _read_events(context.instance, cursor, watched):
            newest = last_day()
            requests, reason = list(_requests(context.instance, cursor, newest)), _skip_reason(cursor, newest)
        else:
            requests, reason = [], "reading the event log: more is new than one tick reads; pushes begin at its end"
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else reason,
            cursor=cursor.encode(),
        )

    return port_changed_partitions_sensor


def _forget_removed(cursor: Cursor, watched: Mapping[dg.AssetKey, str]) -> None:
    """Remove assets that are no longer configured: one request for a removed asset would make every tick fail.

    If an asset is configured again, its events are read again from the first.
    """
    names = {key.to_user_string() for key in watched}
    cursor.read = {name: mark for name, mark in cursor.read.items() if name in names}
    connections = set(watched.values())
    cursor.pending = {name: days for name, days in cursor.pending.items() if name in connections}


def _settle(instance: dg.DagsterInstance, cursor: Cursor) -> None:
    """Take off what has been pushed; what failed, or whose run was deleted, waits for its next attempt."""
    keys = {pending.push for days in cursor.pending.values() for pending in days.values() if pending.push}
    outcomes = {key: outcome_of(instance, key) for key in keys}
    reasons = {key: _reason(instance, key) for key, outcome in outcomes.items() if outcome is False}
    for connection, days in list(cursor.pending.items()):
        for day, pending in list(days.items()):
            outcome = outcomes.get(pending.push)
            if outcome is True and not pending.unsent:
                del days[day]
            elif outcome is True:
                pending.push, pending.attempts = "", 0
            elif outcome is False:
                pending.push, pending.reason = "", reasons[pending.push]
                pending.attempts += 1
                pending.failed_at = int(_now().timestamp())
        if not days:
            del cursor.pending[connection]


def outcome_of(instance: dg.DagsterInstance, run_key: str) -> bool | None:
    """Return whether a requested run succeeded; None while it is under way."""
    records = instance.get_run_records(dg.RunsFilter(tags={RUN_KEY_TAG: run_key}))
    if any(record.dagster_run.is_success for record in records):
        return True
    return False if all(is_over(instance, record) for record in records) else None


def _reason(instance: dg.DagsterInstance, run_key: str) -> str:
    """Return why a push failed, as it says itself; empty where it could not (killed, canceled, deleted)."""
    for record in instance.get_run_records(dg.RunsFilter(tags={RUN_KEY_TAG: run_key}), limit=1):
        for failed in failed_steps(instance, record.dagster_run.run_id).values():
            return reason_of(failed)[:REASON_LENGTH]
    return ""


def is_over(instance: dg.DagsterInstance, record: dg.RunRecord) -> bool:
    """Whether nothing more will come of a run: it has ended, or nothing was heard of it for too long.

    A record is updated when its run begins and ends. In between, only the run's events tell that it is alive.
    """
    run, silent_since = record.dagster_run, _now() - LIFETIME
    if run.is_finished or run.status is dg.DagsterRunStatus.QUEUED:
        return run.is_finished
    return record.update_timestamp <= silent_since and last_heard_of(instance, run) <= silent_since


def _read_events(instance: dg.DagsterInstance, cursor: Cursor, watched: Mapping[dg.AssetKey, str]) -> bool:
    """Note what was written and pushed since the last tick; return whether that is all there is."""
    is_all = True
    started = cache(partial(_started, instance))
    # One query tells which assets have anything new; an idle tick ends here.
    for record in instance.get_asset_records(list(watched)):
        key, newest = record.asset_entry.asset_key, record.asset_entry.last_materialization_record
        mark = cursor.read.get(key.to_user_string(), Mark())
        if newest is None or Mark.of(newest) == mark:
            continue
        connection = watched[key]
        events = _events_since(instance, key, mark)
        for event in events:
            if key == port_sync_key(connection):
                _note_push(cursor, connection, event, started)
            else:
                _note_write(cursor, connection, event)
        if events:
            cursor.read[key.to_user_string()] = Mark.of(events[-1])
        is_all = is_all and len(events) < EVENTS_PER_TICK
    return is_all


def _events_since(instance: dg.DagsterInstance, key: dg.AssetKey, mark: Mark) -> Sequence[dg.EventLogRecord]:
    """Return the next events; where the marked one is gone, ids are no guide any more, and all are read again."""

    def fetch(after: int, limit: int) -> Sequence[dg.EventLogRecord]:
        records_filter = dg.AssetRecordsFilter(asset_key=key, after_storage_id=after)
        return instance.fetch_materializations(records_filter, limit=limit, ascending=True).records

    marked = fetch(mark.storage_id - 1, 1)
    is_there = bool(marked) and Mark.of(marked[0]) == mark
    return fetch(mark.storage_id if is_there else 0, EVENTS_PER_TICK)


def _note_write(cursor: Cursor, connection: str, event: dg.EventLogRecord) -> None:
    """Note a changed day. The same content again only tells who writes a pending day now (a killed run's repeat)."""
    if not event.asset_materialization or not event.partition_key:
        return
    facts = {name: fact.value for name, fact in event.asset_materialization.metadata.items()}
    pending = cursor.pending.get(connection, {}).get(event.partition_key)
    if facts.get("changed", "content_hash" in facts):  # a day that was never stored before does not say that it changed
        pending = cursor.pending.setdefault(connection, {}).setdefault(event.partition_key, Pending())
        # several assets share a day: its content is that of all of them
        pending.content = _digest(pending.content, str(facts.get("content_hash")))
        pending.unsent, pending.attempts, pending.failed_at, pending.reason = True, 0, 0, ""
    if pending and event.storage_id > pending.storage_id:
        pending.storage_id, pending.run_id = event.storage_id, event.run_id


def _note_push(cursor: Cursor, connection: str, event: dg.EventLogRecord, started: Callable[[str], float]) -> None:
    """Take off a day that a run has pushed which began after the sensor's last attempt failed (a person's, say)."""
    days = cursor.pending.get(connection, {})
    pending = days.get(event.partition_key or "")
    if pending and pending.attempts and started(event.run_id) >= pending.failed_at:
        del days[str(event.partition_key)]


def _started(instance: dg.DagsterInstance, run_id: str) -> float:
    record = instance.get_run_record_by_id(run_id)
    return (record and record.start_time) or 0


def _requests(instance: dg.DagsterInstance, cursor: Cursor, newest: date) -> Iterator[dg.RunRequest]:
    is_over = cache(partial(_is_run_over, instance))
    for connection, days in cursor.pending.items():
        ready: dict[int, list[date]] = {}
        for day, pending in days.items():
            if date.fromisoformat(day) <= newest and _is_due(pending) and is_over(pending.run_id):
                ready.setdefault(pending.attempts, []).append(date.fromisoformat(day))
        for attempts, attempt_days in ready.items():
            for window in windows(attempt_days, MOST_DAYS):
                yield _request(connection, window, attempts, days)


def _is_due(pending: Pending) -> bool:
    pause = min(RETRY_PAUSE * 2 ** (pending.attempts - 1), LONGEST_PAUSE)
    is_rested = pending.failed_at + pause.total_seconds() <= _now().timestamp()
    return not pending.push and pending.attempts < MAX_ATTEMPTS and is_rested


def _is_run_over(instance: dg.DagsterInstance, run_id: str) -> bool:
    record = instance.get_run_record_by_id(run_id)
    return record is None or is_over(instance, record)


def _request(connection: str, window: Window, attempts: int, days: dict[str, Pending]) -> dg.RunRequest:
    """Request one push. A run key is used once for ever, so it names content, event and attempt (A, B, A again)."""
    covered = [days[day.isoformat()] for day in window.days]
    content = _digest(*(pending.content for pending in covered))
    newest = max(pending.storage_id for pending in covered)
    run_key = f"{connection}:{window.first}:{window.last}:{content}:{newest}:{attempts + 1}"
    failed_at = max(pending.failed_at for pending in covered)
    for day in window.days:
        days[day.isoformat()] = Pending(newest, content, "", attempts, failed_at, push=run_key, unsent=False)
    return dg.RunRequest(
        run_key=run_key,
        asset_selection=[port_sync_key(connection)],
        tags={**range_tags(window.first, window.last), CONNECTION_TAG: connection},
    )


def _skip_reason(cursor: Cursor, newest: date) -> str:
    states: Counter[str] = Counter()
    parked: list[str] = []
    reasons: dict[str, None] = {}
    for connection, days in cursor.pending.items():
        for day, pending in days.items():
            if pending.push:
                states["being pushed"] += 1
            elif pending.attempts >= MAX_ATTEMPTS:
                parked.append(f"{connection} {day}")
            elif date.fromisoformat(day) > newest:
                states["waiting until they are over"] += 1
            elif pending.attempts:
                states["waiting for another attempt"] += 1
            else:
                states["waiting for the run that writes them"] += 1
            if pending.reason:
                reasons[pending.reason] = None
    words = [f"{count} days {state}" for state, count in states.items()]
    if parked:
        words.append(
            f"{len(parked)} days parked after {MAX_ATTEMPTS} failed pushes ({', '.join(sorted(parked)[:5])}): "
            "see the failed port_sync run, then materialize port_sync for them"
        )
    if reasons:
        words.append(f"the last push failed: {' / '.join([*reasons][:3])}")
    return "; ".join(words) or "Port has every change"


def _digest(*contents: str) -> str:
    return hashlib.sha256("".join(contents).encode()).hexdigest()[:12]


def _now() -> datetime:
    return datetime.now(UTC)
