"""The assets of forecasts, anomalies and budgets. One step computes them from one state of the warehouse."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date

import dagster as dg

from usage_assets.assets.io_manager import TABLE, column_schema
from usage_assets.assets.names import ALONE, IO_MANAGER, Names
from usage_assets.assets.posted import ALERTS, DIGEST, WEEK
from usage_assets.config.accounting import Accounting, ListPriceRow, MetricRow
from usage_assets.config.settings import Connection, Settings
from usage_assets.core.days import utc_today
from usage_assets.core.schema import TableRow, declared
from usage_assets.models.insights import AnomalyRow, BudgetStatusRow, ForecastRow, ForecastTotalRow
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Seed
from usage_assets_report.insights.invariants import INVARIANTS

GROUP = "report"
TABLES: Sequence[type[TableRow]] = (ForecastRow, ForecastTotalRow, AnomalyRow, BudgetStatusRow, MetricRow, ListPriceRow)
CHECKED: Sequence[tuple[type[TableRow], str, str]] = (
    (AnomalyRow, "anomalies", "The last two weeks have no anomaly, and no guardrail was crossed"),
    (BudgetStatusRow, "budgets", "No budget has reached a threshold in its current period"),
    (MetricRow, "metrics", "The files and queries of [[metric]] could be used. Otherwise the stored rows stay"),
)


def asset_of(row: type[TableRow]) -> str:
    """Return the asset of a table that belongs to no connection."""
    return row.table.partition(".")[2]


ASSETS = tuple(asset_of(row) for row in TABLES)


def build_insights(
    accounting: Accounting,
    seed: Seed,
    settings: Settings,
    last_day: Callable[[], date],
    costs: Collection[dg.AssetKey],
    connections: Sequence[Connection],
    names: Names = ALONE,
) -> dg.AssetsDefinition:
    """Build the assets, with a check for anomalies, budgets and users' metrics. The weekly digest is an observation.

    A check for each rule of ``insights/sql/invariants/`` compares the rows with the state that they were computed from.

    Metrics that cannot be used change nothing and stop nothing: the check says what is wrong with them.
    """

    def key_of(row: type[TableRow]) -> dg.AssetKey:
        return names.key(asset_of(row))

    url = settings.usage_report_url
    page: dict[str, dg.MetadataValue] = {"report": dg.MetadataValue.url(url)} if url else {}
    checks = [dg.AssetCheckSpec(name, asset=key_of(row), description=text) for row, name, text in CHECKED]
    about = {each: key_of(declared(each.table)) for each in INVARIANTS}
    rules = [dg.AssetCheckSpec(each.name, asset=key, description=each.rule) for each, key in about.items()]

    @dg.multi_asset(
        name=names.own("insights"),
        group_name=names.group(GROUP),
        specs=[_spec(key_of(row), row, costs).with_io_manager_key(names.own(IO_MANAGER)) for row in TABLES],
        check_specs=[*checks, *rules],
    )
    @names.bound
    def insights(
        warehouse: dg.ResourceParam[Warehouse],
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult | dg.AssetObservation]:
        from usage_assets_report.insights.refresh import refresh  # noqa: PLC0415 - brings NumPy with it

        with_people = settings.usage_people == "names"
        found = refresh(warehouse, accounting, connections, last_day(), utc_today(), seed, with_people=with_people)
        for row in filter(found.rows.__contains__, TABLES):
            yield dg.MaterializeResult(
                asset_key=key_of(row), metadata={"dagster/row_count": len(found.rows[row]), **page}
            )
        for row, name, _ in CHECKED:
            alerts = found.alerts[row]
            metadata = {ALERTS: json.dumps({alert.key: alert.text for alert in alerts})}
            yield _result(key_of(row), name, [alert.text for alert in alerts if alert.text], metadata=metadata)
        for invariant, texts in found.contradictions.items():
            yield _result(about[invariant], invariant.name, texts, dg.AssetCheckSeverity.ERROR)
        if settings.usage_digest and found.digest:
            week = {WEEK: found.digest.week, DIGEST: "\n".join(found.digest.lines)}
            yield dg.AssetObservation(key_of(ForecastTotalRow), metadata=week)

    return insights


def _spec(key: dg.AssetKey, row: type[TableRow], costs: Collection[dg.AssetKey]) -> dg.AssetSpec:
    return dg.AssetSpec(
        key,
        deps=costs,
        description=f"{Table(row).description}\n\nThe table `{row.table}`.",
        metadata={TABLE: row.table, "dagster/column_schema": column_schema(row)},
        kinds={"duckdb"},
        skippable=row is MetricRow,
    )


def _result(
    asset: dg.AssetKey,
    check: str,
    texts: Sequence[str],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN,
    metadata: Mapping[str, str] | None = None,
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=check,
        passed=not texts,
        severity=severity,
        description="\n".join(texts) or None,
        metadata=metadata,
    )
