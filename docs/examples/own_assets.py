"""Assets of your own beside UsageAssetsComponent, in whose folder ``ai_spend`` there is a connection ``openai``."""

from decimal import Decimal
from typing import Annotated

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from dagster_duckdb import DuckDBResource

from usage_assets import table_metadata
from usage_assets.component import follows_restatements
from usage_assets.provider import Row, column

DAYS = dg.DailyPartitionsDefinition("2026-01-01", timezone="UTC")


class ModelSpend(Row, kw_only=True):
    """One row per day and model."""

    table = "finance.model_spend"
    grain = ("model",)

    model: Annotated[str, column("Model, as OpenAI calls it")]
    amount_usd: Annotated[Decimal, column("What is billed", unit="USD")]


@dg.asset(
    ins={"costs": dg.AssetIn(["ai_spend", "openai", "costs", "daily_costs"])},
    partitions_def=DAYS,
    io_manager_key="ai_spend_io_manager",
    metadata=table_metadata(ModelSpend, "openai"),
    automation_condition=follows_restatements(),
)
def model_spend(context: dg.AssetExecutionContext, costs: pd.DataFrame) -> pd.DataFrame:
    """What each model costs a day. The day is replaced whole, and amounts stay exact."""
    billed = costs[costs["cost_basis"] == "billed"].fillna({"model": "unknown"})
    spend = billed.groupby("model", as_index=False)["amount_usd"].sum()
    return spend.assign(connection="openai", usage_date=context.partition_time_window.start.date())


@dg.asset(partitions_def=DAYS, automation_condition=follows_restatements())
def day_spend(model_spend: pa.Table) -> dg.MaterializeResult:
    """What the day costs: an Arrow table of the stored rows, because the parameter is annotated as one."""
    return dg.MaterializeResult(metadata={"usd": str(pc.sum(model_spend["amount_usd"]).as_py())})


@dg.asset(deps=[model_spend], automation_condition=follows_restatements())
def month_spend(ai_spend_warehouse: DuckDBResource) -> dg.MaterializeResult:
    """What each month costs, in SQL: a connection that waits until nobody else writes."""
    with ai_spend_warehouse.get_connection() as connection:
        months = connection.execute("""
            select strftime(usage_date, '%Y-%m') as month, sum(amount_usd) from finance.model_spend group by all
        """).fetchall()
    return dg.MaterializeResult(metadata={month: str(usd) for month, usd in months})
