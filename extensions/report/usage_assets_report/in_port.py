"""Budgets, anomalies, tags and cost centers in Port: one asset for all connections, without days and tables.

There are few of them, and most change with every day. So each run reads them back, and repairs what people edited, too.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any

import dagster as dg
import duckdb

from usage_assets.assets.location import Location, Part
from usage_assets.assets.names import ALONE, IO_MANAGER, Names
from usage_assets.cli.access import warehouse_now
from usage_assets.config.settings import PortRelation, Settings
from usage_assets.core.blueprints import CONNECTION
from usage_assets.core.days import utc_today
from usage_assets.core.people import People
from usage_assets.features.port.assets import in_one_line, reconcile
from usage_assets.features.port.catalog.client import PortClient
from usage_assets.features.port.catalog.sync import Acknowledged, Entity
from usage_assets.features.port.ledger import PortLedger
from usage_assets.models.entities import OF_INSIGHTS
from usage_assets.models.insights import KEPT, AnomalyRow, BudgetStatusRow
from usage_assets.models.model import Related, sql_files
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.migrate import create_or_alter
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import declared_in
from usage_assets.warehouse.views import HAS_VIEW
from usage_assets_report.graph.insights import asset_of
from usage_assets_report.graph.sensor import DESCRIBED, REPORT_JOB
from usage_assets_report.identifiers import NAMES_OF_INSIGHTS

PORT_INSIGHTS = "port_insights"
EVERYTHING = Slice("", date.min, date.max)
"""Their lines in Port's ledger have an empty connection."""


@dataclass(frozen=True)
class InsightsLedger(PortLedger):
    """All that Port should have of all connections together, and what one account has acknowledged."""

    connections: Collection[str] = field(kw_only=True)
    """Whose entities are known to be ours, if no line has them. Others may be another installation's."""
    report_url: str | None = field(kw_only=True)

    def desired(self, blueprint: str) -> Sequence[Entity]:
        """Return the entities of a blueprint that Port should have. Nothing is stored."""
        with self.warehouse.transaction(keep=False) as database:
            self._prepare(database)
            return [
                entity
                for model in self.entities
                if model.name == blueprint
                for entity in self.stored_in(database, model)
            ]

    def ranges(self) -> Iterator[PortLedger]:
        """Yield this ledger: what has no days is not split."""
        yield self

    def _is_ours(self, shown: Mapping[str, Any]) -> bool:
        return shown["relations"].get(CONNECTION) in self.connections

    def _read(self, database: duckdb.DuckDBPyConnection) -> tuple[list[Entity], list[Acknowledged]]:
        self._prepare(database)
        desired = [entity for model in self.entities for entity in self.stored_in(database, model)]
        acknowledged = database.execute(
            """
            select blueprint, identifier, usage_date, content_hash
            from ledger.port_entities
            where account = $account and connection = $connection and list_contains($blueprints::text[], blueprint)
            """,
            {**self._own, "blueprints": [model.name for model in self.entities]},
        ).fetchall()
        return desired, [Acknowledged(*row) for row in acknowledged]

    def _prepare(self, database: duckdb.DuckDBPyConnection) -> None:
        """Make what the queries rely on."""
        for row in (BudgetStatusRow, AnomalyRow):
            create_or_alter(database, Table(row))
        for names in NAMES_OF_INSIGHTS:
            database.execute(names)

    def _rows_of(self, database: duckdb.DuckDBPyConnection, model: Related) -> duckdb.DuckDBPyConnection:
        [file] = sql_files(f"insights/{model.name}.sql")
        sql = file.read_text()
        if (view := declared_in(sql).get("reads")) and not database.execute(HAS_VIEW, {"name": view}).fetchone():
            return database.execute("select 1 where false")
        return database.execute(sql, {"since": utc_today() - KEPT, "report_url": self.report_url})


def build(location: Location, client: Callable[[], PortClient]) -> Part:
    """Build the asset of all connections' figures in Port. It belongs to the main code location."""
    settings, names = location.settings, location.names
    if not location.has([PORT_INSIGHTS]):
        return Part()
    connections = [each.name for each in location.everywhere]
    relations, people = settings.port_relations(), partial(settings.people, settings.usage_people)
    insights = build_port_insights(connections, relations, client, people, settings.usage_report_url, names)
    return Part(assets=[insights], jobs={REPORT_JOB: [insights.key]}, described=DESCRIBED)


def previewed(settings: Settings, blueprint: str) -> Sequence[Entity]:
    """Return the entities of a blueprint, for no account."""
    ledger = InsightsLedger(
        warehouse_now(settings),
        "",
        EVERYTHING,
        OF_INSIGHTS,
        relations=settings.port_relations(),
        connections=(),
        report_url=settings.usage_report_url,
    )
    return ledger.desired(blueprint)


def build_port_insights(
    connections: Collection[str],
    relations: Sequence[PortRelation],
    client: Callable[[], PortClient],
    people: Callable[[], People],
    report_url: str | None,
    names: Names = ALONE,
) -> dg.AssetsDefinition:
    """Build the asset that makes Port's budgets and anomalies equal to what was computed last."""

    @dg.asset(
        key=names.key(PORT_INSIGHTS),
        group_name=names.group("report"),
        io_manager_key=names.own(IO_MANAGER),
        deps=names.keys([asset_of(BudgetStatusRow), asset_of(AnomalyRow)]),
        description="One comparison per run: makes the entities `ai_budget`, `ai_anomaly`, `ai_tag_cost` and "
        "`ai_cost_center` in Port equal to `costs.budget_status`, `costs.anomalies`, `costs.by_tag` and "
        "`costs.by_cost_center`.\n\nReads them back first, "
        "so it resends those that people edited or deleted, and deletes those that are in no table any more.",
        kinds={"port"},
    )
    @names.bound
    def port_insights(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult[None]:
        with in_one_line(people), client() as port:
            ledger = InsightsLedger(
                warehouse,
                port.account,
                EVERYTHING,
                OF_INSIGHTS,
                relations=relations,
                connections=connections,
                report_url=report_url,
            )
            return reconcile(context, port, ledger, people())

    return port_insights
