"""Computes all tables of insights from one state of the warehouse, the alerts and the weekly digest."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

import duckdb
import msgspec
import pyarrow as pa

from usage_assets.core.days import end_of_month
from usage_assets.core.money import exactly
from usage_assets.core.schema import TableRow, to_arrow
from usage_assets.models.insights import (
    AnomalyRow,
    BudgetStatusRow,
    DoubtRow,
    ForecastRow,
    ForecastTotalRow,
    state_of,
)
from usage_assets.warehouse.arrow import fetch_arrow
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Seed
from usage_assets_report.insights.alerts import Alert, of_anomalies, of_budgets
from usage_assets_report.insights.anomalies import closed_anomalies, find_anomalies, with_ids
from usage_assets_report.insights.budgets import BudgetStatus, budget_status
from usage_assets_report.insights.digest import Digest, digest, first_day_of
from usage_assets_report.insights.doubts import in_words
from usage_assets_report.insights.forecasts import forecasts
from usage_assets_report.insights.guardrails import crossed
from usage_assets_report.insights.invariants import Invariant
from usage_assets_report.insights.rates import RatesUsed
from usage_assets_report.insights.series import EVERYTHING, MEASURES, USD, growths, read_all
from usage_assets_report.insights.stated import Stated

NAME = "insights"


@dataclass(frozen=True)
class Insights:
    """Rows of the tables, and alerts by table."""

    rows: Mapping[type[TableRow], Sequence[TableRow]]
    alerts: Mapping[type[TableRow], Sequence[Alert]]
    digest: Digest | None
    contradictions: Mapping[Invariant, Sequence[str]] = field(default_factory=dict)
    """What the rows have that contradicts what is stored; nothing, if all is right."""
    state: str | None = None
    """What was stored (``state_of``)."""

    def seed(self, read_at: datetime) -> Seed:
        """The tables as they should be now."""
        tables: dict[Table, pa.Table] = {Table(row): to_arrow(row, rows) for row, rows in self.rows.items()}
        return Seed(NAME, tables, read_at, state=self.state)


@exactly()
def compute(
    database: duckdb.DuckDBPyConnection,
    stated: Stated,
    newest: date,
    today: date,
    *,
    with_people: bool = False,
    doubts: Sequence[DoubtRow] = (),
) -> Insights:
    """Compute everything from the days up to ``newest``. The digest names people only ``with_people``."""
    scopes = read_all(database, newest, MEASURES, stated.connections)
    daily, months = forecasts(scopes[USD], growths(database, newest, "USD"), newest, today)
    rates = RatesUsed(database)
    months = [_with_rates(row, rates) for row in months]
    known = [*known_anomalies(database)]
    odd = [*find_anomalies(database, scopes, known, newest)]
    searched = {(*key, measure.name) for measure, of_measure in scopes.items() for key in of_measure}
    odd += crossed(database, stated.guardrails, newest)
    odd += closed_anomalies(known, odd, searched, newest, today)
    spent = [
        _of_budget(each, rates, doubts) for each in budget_status(database, stated.budgets, newest, stated.connections)
    ]
    return Insights(
        {
            ForecastRow: daily,
            ForecastTotalRow: months,
            AnomalyRow: odd,
            BudgetStatusRow: [each.row for each in spent],
            DoubtRow: [*{(each.check_name, each.connection, each.usage_date): each for each in doubts}.values()],
        },
        {AnomalyRow: of_anomalies(odd), BudgetStatusRow: of_budgets(spent, newest)},
        digest(
            scopes[USD],
            months,
            [each.row for each in spent],
            odd,
            newest,
            today,
            rates=rates.of(EVERYTHING, "", first_day_of(newest), newest),
            with_people=with_people,
            doubts=doubts,
        ),
        state=state_of(database),
    )


def _with_rates(row: ForecastTotalRow, rates: RatesUsed) -> ForecastTotalRow:
    return msgspec.structs.replace(row, rates=rates.of(row.kind, row.id, row.month, end_of_month(row.month)))


def _of_budget(status: BudgetStatus, rates: RatesUsed, doubts: Sequence[DoubtRow]) -> BudgetStatus:
    row = status.row
    wrong = in_words(doubts, row.first_day, row.last_day, status.connections)
    used = rates.of(row.kind, row.id, row.first_day, row.last_day) if row.unit == "USD" else None
    return replace(status, row=msgspec.structs.replace(row, rates=used, doubts=wrong))


def known_anomalies(database: duckdb.DuckDBPyConnection) -> Iterator[AnomalyRow]:
    """Yield the incidents and crossed guardrails that were found before."""
    try:
        stored = fetch_arrow(database.table(AnomalyRow.table))
    except duckdb.CatalogException:
        return
    yield from with_ids(AnomalyRow(**row) for row in stored.to_pylist())
