"""An idle tick of the sensor over a long event log, and one look-up for each partition, on the same instance.

Both sides are CPU time of this process, on an instance as ``make run`` has it. An idle tick is the everyday: it
finds out that nothing is new, every ten seconds.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
from dagster._core.definitions.sensor_definition import SensorExecutionData

from benchmarks.events import project_instance
from benchmarks.figures import Figure, cpu_of
from usage_assets.automation.port_sensor import build_port_sensor

EVENTS = 41_000
NAMES = ("daily", "model", "cost", "user")
CONNECTIONS = ("openai", "anthropic", "chatgpt")
LAST = date(2026, 11, 19)
ROUNDS = 5
ALLOWED_SECONDS = 0.2
DEMANDED = 100


def figures(days: int, events: int = EVENTS, rounds: int = ROUNDS) -> Iterator[Figure]:
    """What an idle tick takes over so many events of ``days`` days, beside what is allowed and beside the look-ups."""
    entities = {
        connection: [dg.AssetKey([connection, "entities", name]) for name in NAMES] for connection in CONNECTIONS
    }
    keys = [key for keys in entities.values() for key in keys]
    partitions = [str(LAST - timedelta(days=n)) for n in range(days)]
    with TemporaryDirectory() as folder, project_instance(Path(folder)) as instance:
        written = sum(write(instance, Path(folder), key, partitions, events // len(keys)) for key in keys)
        cursor = read_to_the_end(instance, entities)
        sides = [
            (cpu_of(lambda: tick(instance, entities, cursor)), cpu_of(lambda: look_up(instance, keys, partitions)))
            for _ in range(rounds)
        ]
    name = f"idle tick over {written:,} events"
    yield Figure.of_rounds(
        [(ours, ALLOWED_SECONDS) for ours, _ in sides],
        scale=1000,
        name=name,
        unit="ms",
        demanded=1,
        is_at_factor_1=True,
        note="CPU time; theirs: what is allowed",
    )
    yield Figure.of_rounds(
        sides,
        scale=1000,
        name=name,
        unit="ms",
        demanded=DEMANDED,
        note=f"CPU time; theirs: the newest event of each of {len(keys) * days:,} partitions",
    )


def write(instance: dg.DagsterInstance, folder: Path, key: dg.AssetKey, partitions: Sequence[str], events: int) -> int:
    """Write so many events of an asset, its partitions in turn; returns how many there are.

    The first and the last are Dagster's own; those between are copies in its database, where it writes 20 a second.
    """
    report(instance, key, partitions[0])
    with sqlite3.connect(folder / "history" / "runs" / "index.db") as database:
        database.row_factory = sqlite3.Row
        query = "select * from event_logs where asset_key = ?"
        (event,) = (dict(row) for row in database.execute(query, [key.to_string()]))
        del event["id"]
        text, first = event["event"], partitions[0]
        database.executemany(
            f"insert into event_logs ({', '.join(event)}) values ({', '.join(f':{name}' for name in event)})",  # noqa: S608 - columns of that table
            (
                {**event, "partition": partition, "event": text.replace(first, partition)}
                for partition in islice(cycle(partitions), events - 2)
            ),
        )
    database.close()
    report(instance, key, partitions[-1])
    records = dg.AssetRecordsFilter(asset_key=key)
    return len(instance.fetch_materializations(records, limit=events + 1).records)


def report(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str) -> None:
    """Write one event as the IO manager does where a day is found as it was."""
    facts: dict[str, bool | str] = {"changed": False, "content_hash": "0" * 64}
    instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition, metadata=facts))


def read_to_the_end(instance: dg.DagsterInstance, entities: Mapping[str, Sequence[dg.AssetKey]]) -> str | None:
    """Tick until nothing is new; returns the cursor. Raises RuntimeError where the sensor asks for a push."""
    cursor: str | None = None
    while True:
        data = tick(instance, entities, cursor)
        if data.run_requests:
            raise RuntimeError("an idle sensor asks for a push")
        if data.skip_message == "Port has every change":
            return data.cursor
        cursor = data.cursor


def tick(
    instance: dg.DagsterInstance, entities: Mapping[str, Sequence[dg.AssetKey]], cursor: str | None
) -> SensorExecutionData:
    """Evaluate the sensor once, as the daemon does."""
    sensor = build_port_sensor(entities, running=True, last_day=lambda: date.max)
    with dg.build_sensor_context(instance=instance, cursor=cursor) as context:
        return sensor.evaluate_tick(context)


def look_up(instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey], partitions: Sequence[str]) -> None:
    """Ask for the newest event of each partition. Raises RuntimeError where there is none."""
    for key in keys:
        for partition in partitions:
            records = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition])
            if not instance.fetch_materializations(records, limit=1).records:
                raise RuntimeError(f"{key.to_user_string()} has no event of {partition}")
