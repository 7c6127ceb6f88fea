"""What the due sensor takes over a year of three connections: an idle tick, and a query of ``ledger.due_days``.

The ledger is written as runs write it, for days without usage. Each day is fetched when it ends and again on each of
the next ten days, so only the last days are due: they are not settled.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
from dagster._core.definitions.sensor_definition import SensorExecutionData

from benchmarks.events import project_instance
from benchmarks.figures import Figure, cpu_of
from usage_assets.assets.warehouse_resource import WarehouseResource
from usage_assets.build import build_definitions
from usage_assets.config.settings import Settings
from usage_assets.core.days import DAY, MOST_DAYS, Window, windows
from usage_assets.core.schema import to_arrow
from usage_assets.fetching.connected import settling_days
from usage_assets.models.connection_graph import ConnectionGraph, graph_of, seeds_of
from usage_assets.models.due import due_days, question_of
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch

READ_AGAIN = 10
ROUNDS = 9
RECORDED_IDLE_SECONDS = 0.0039
"""CPU time in 30 seconds of the two idle sensors that the due sensor replaced: 2.7 ms for history, and for rates 2.4 ms
a minute."""
ALLOWED_SECONDS = 1.0
READ_LATER = """
insert into ledger.partition_versions by name
select * exclude (number) replace (
  version + number::integer as version,
  false as changed,
  written_at + to_days(number::integer) as written_at
)
from ledger.partition_versions, range(1, $times + 1) as again(number)
where written_at + to_days(number::integer) <= $now
"""
FIRST_READ = "update ledger.partition_versions set written_at = usage_date + interval 24 hours"


def figures(days: int, rounds: int = ROUNDS) -> Iterator[Figure]:
    """The CPU time of an idle tick, and of one evaluation of ``ledger.due_days``."""
    today = datetime.now(UTC).date()
    year = Window(today - DAY * days, today - DAY)
    with TemporaryDirectory() as folder, project_instance(Path(folder)) as instance:
        settings = settings_of(Path(folder), year)
        warehouse = Warehouse(database=str(settings.warehouse.file))
        versions = write(warehouse, settings, year)
        stated = seeds_of(settings)
        if late := [due for due in due_days(warehouse, stated) if due.state != "unsettled"]:
            raise RuntimeError(f"{len(late)} days are due, {late[0]} is one")
        asked = [cpu_of(lambda: due_days(warehouse, stated)) for _ in range(rounds)]
        sensor = build_definitions(settings).resolve_sensor_def("due_days_sensor")
        resource = WarehouseResource.of(warehouse, publishes=False)  # which a code location makes once
        cursor, before = tick(sensor, instance, resource, None).cursor, None
        while cursor != before:  # the first tick stores what is configured, so the second finds another file
            cursor, before = tick(sensor, instance, resource, cursor).cursor, cursor
        idle = [cpu_of(lambda: tick(sensor, instance, resource, cursor)) for _ in range(rounds)]
    yield Figure.of_rounds(
        [(seconds, RECORDED_IDLE_SECONDS) for seconds in idle],
        scale=1000,
        name="idle tick of the due sensor",
        unit="ms",
        demanded=1,
        is_at_factor_1=True,
        note="CPU time; theirs: the two sensors that it replaced, recorded",
    )
    yield Figure.of_rounds(
        [(seconds, ALLOWED_SECONDS) for seconds in asked],
        name=f"what is due of {versions:,} versions",
        unit="s",
        demanded=1,
        is_at_factor_1=True,
        note="CPU time; theirs: what is allowed",
    )


def settings_of(folder: Path, year: Window) -> Settings:
    """Three connections whose history is the year."""
    return Settings.load(
        _env_file=None,
        usage_warehouse=str(folder / "usage.duckdb"),
        usage_start_date=year.first,
        openai_admin_key="sk-admin-benchmark",
        anthropic_admin_key="sk-ant-admin-benchmark",
        chatgpt_analytics_key="chatgpt-benchmark",
        chatgpt_workspace_id="ws-benchmark",
    )


def write(warehouse: Warehouse, settings: Settings, year: Window) -> int:
    """Write the ledger of the year; return how many versions it has."""
    connections = settings.connections()
    money, _ = seeds_of(settings)
    for connection in connections:
        graph = graph_of(connection, money)
        for part in windows(year.days, MOST_DAYS):
            write_part(warehouse, graph, part)
    with warehouse.transaction() as database:
        database.execute(FIRST_READ)
        database.execute(READ_LATER, {"times": READ_AGAIN, "now": datetime.now(UTC)})
        [(versions,)] = database.execute("select count(*) from ledger.partition_versions").fetchall()
    return int(versions)


def write_part(warehouse: Warehouse, graph: ConnectionGraph, part: Window) -> None:
    """Write what a connection's run of some days writes, when nobody used anything."""
    name, began = graph.connection.name, datetime.now(UTC)
    for endpoint in graph.endpoints:
        control = endpoint.control and (Table(endpoint.control.row), to_arrow(endpoint.control.row, []))
        answer = Batch(
            rows=to_arrow(endpoint.row, []),
            began=began,
            control=control or None,
            question=question_of(endpoint, graph.connection),
            settling_days=settling_days(graph.connection, graph.provider),
        )
        warehouse.replace(Table(endpoint.row), answer, Slice(name, part.first, part.last), "benchmark")
    for model, query in graph.models:
        target = Slice(name, part.first, part.last, model.part)
        warehouse.replace(Table(model.row), query, target, "benchmark")


def tick(
    sensor: dg.SensorDefinition, instance: dg.DagsterInstance, resource: WarehouseResource, cursor: str | None
) -> SensorExecutionData:
    """Evaluate the sensor once, as the daemon does. Raises RuntimeError where it asks for a run."""
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources={"warehouse": resource}) as context:
        data = sensor.evaluate_tick(context)
    if data.run_requests:
        raise RuntimeError("an idle sensor asks for a run")
    return data
