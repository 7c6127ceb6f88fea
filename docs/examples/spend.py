"""Who spent what this month, by team and model. Run it with `marimo edit docs/examples/spend.py`, or as a script."""

import marimo

app = marimo.App(width="medium", app_title="AI spend")


@app.cell
def _():
    import marimo as mo
    import pandas as pd
    import polars as pl

    import usage_assets

    spend = usage_assets.open()  # USAGE_WAREHOUSE, or the demo's: the newest published copy, read-only
    [newest] = spend.sql("select max(month) as month from costs.by_month where cost_basis = 'billed'").rows()
    month = newest["month"]
    return mo, month, pd, pl, spend


@app.cell
def _(mo, month, spend):
    # Arrow: decimal128(38, 24), so a sum is exact
    billed = spend.sql(f"""
        select team, family as model, sum(amount_usd) as usd
        from costs.counted_costs
        where counted_in = 'USD' and date_trunc('month', usage_date) = date '{month}'
        group by all
        order by usd desc
    """).arrow()
    [total] = spend.sql(f"""
        select sum(amount_usd) as usd
        from costs.counted_costs
        where counted_in = 'USD' and date_trunc('month', usage_date) = date '{month}'
    """).rows()
    [left_out] = spend.sql(f"""
        select coalesce(sum(rows_without_usd), 0)::bigint as n
        from costs.by_month
        where cost_basis = 'billed' and month = date '{month}'
    """).rows()
    mo.md(
        f"## {month:%B %Y}: ${total['usd']:,.2f} billed\n\n{left_out['n']} rows have no dollar value, and are left out."
    )
    return billed, left_out, total


@app.cell
def _(mo, month, spend):
    [days] = spend.sql(f"""
        select
          count(distinct usage_date) as stored,
          count(distinct usage_date) filter (where state <> 'settled') as provisional
        from ledger.day_states
        where date_trunc('month', usage_date) = date '{month}'
    """).rows()
    mo.md(f"**Provisional:** providers may still change {days['provisional']} of the {days['stored']} stored days.")
    return (days,)


@app.cell
def _(billed, pl):
    # polars: Decimal(38, 24)
    teams = pl.DataFrame(billed).group_by("team").agg(pl.col("usd").sum()).sort("usd", descending=True)
    teams
    return (teams,)


@app.cell
def _(billed, pd):
    # pandas: Arrow's decimals, because pandas' own columns would hold floats
    cells = billed.to_pandas(types_mapper=pd.ArrowDtype).fillna({"model": "no model"})
    models = cells.groupby("model", as_index=False)["usd"].sum().sort_values("usd", ascending=False)
    models
    return (models,)


@app.cell
def _(mo, month, spend):
    # Estimates and notional costs price use that is in a bill, a plan or a seat already; credits are not dollars
    others = spend.sql(f"""
        select cost_basis, native_unit, currency, sum(native_amount) as amount
        from costs.by_month
        where cost_basis <> 'billed' and month = date '{month}'
        group by all
        order by all
    """).polars()
    mo.vstack([mo.md("## Never add these to the bill, nor to one another"), others])
    return (others,)


if __name__ == "__main__":
    app.run()
