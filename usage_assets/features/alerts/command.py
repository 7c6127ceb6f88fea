"""`usage-assets metrics`: what Prometheus's textfile collector reads.

A file of SQL is a metric: the column ``value``, and the others as labels. Its comment is the help.
Values are doubles, for alerts and not for invoices.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import duckdb
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from usage_assets.cli.access import hide_pandas, warehouse_now
from usage_assets.config.settings import Settings

SQL = Path(__file__).parent / "sql" / "metrics"


class Stored(Collector):
    """The metrics of one state of the warehouse."""

    def __init__(self, database: duckdb.DuckDBPyConnection) -> None:
        """Read from this connection."""
        self.database = database

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield a family for each file."""
        for file in sorted(SQL.glob("*.sql")):
            query = file.read_text()
            name, text = f"usage_assets_{file.stem}", query.partition("\n")[0].removeprefix("-- ")
            try:
                answer = self.database.execute(query)
            except duckdb.CatalogException:  # no check has failed, or nothing was pushed: its table is not there yet
                yield GaugeMetricFamily(name, text, labels=[])
                continue
            *labels, _ = [column for column, *_ in answer.description]
            family = GaugeMetricFamily(name, text, labels=labels)
            for *texts, value in answer.fetchall():
                family.add_metric([text or "" for text in texts], float(value))
            yield family


@click.command()
def metrics() -> None:
    """Write them to another file and move that to where the collector reads."""
    hide_pandas()
    registry = CollectorRegistry()
    with warehouse_now(Settings.load()).reading() as database:
        database.execute("set variable usage_now = $now", {"now": datetime.now(UTC)})
        registry.register(Stored(database))
        click.echo(generate_latest(registry).decode(), nl=False)
