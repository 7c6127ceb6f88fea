"""Which queries are refused, because they add amounts of several cost bases, units or currencies, and which are not."""

import logging
import re
from collections.abc import Iterator

import duckdb
import pytest

from usage_assets.warehouse.values import WarehouseError
from usage_assets_assistant.query.guard import refuse_mixed
from usage_assets_tests.models.days import cases, lines, one_a_line, seen
from usage_assets_tests.terminal import ROOT


@pytest.fixture(scope="module")
def copied(published: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """The same rows, in tables: to plan the views takes most of the time of a query."""
    named = published.sql("select schema_name, view_name from duckdb_views() where not internal").fetchall()
    named += published.sql("select schema_name, table_name from duckdb_tables() where not temporary").fetchall()
    read = " ".join((*ADDING, *RIGHT, "costs.gateways_and_bills costs.usage costs.amortized")).lower()
    with duckdb.connect() as database:
        for schema, name in named:
            if f"{schema}.{name}" in read:
                rows = published.sql(f"from {schema}.{name}").to_arrow_table()
                database.execute(f"create schema if not exists {schema}")
                database.from_arrow(rows).create(f"{schema}.{name}")
        yield database


def test_the_company_has_what_must_not_be_added(copied: duckdb.DuckDBPyConnection) -> None:
    found = copied.sql("from costs.daily_costs select distinct cost_basis, native_unit, currency order by all")
    assert seen(found.fetchall()) == lines("""
        billed     cents        USD
        billed     dollars      USD
        billed     major units  EUR
        credits    credits      -
        estimated  cents        USD
    """)


ADDING = one_a_line("""
    select sum(amount_usd) from costs.daily_costs
    SELECT SUM(Amount_USD) FROM Costs.Daily_Costs
    select sum("amount_usd") from "costs"."daily_costs"
    from costs.daily_costs select sum(amount_usd)
    select sum(amount_usd)::decimal(18, 2) as usd from costs.daily_costs order by usd limit 1
    select provider, sum(amount_usd) from costs.daily_costs group by provider
    select provider, sum(amount_usd) from costs.daily_costs group by all
    select usage_date, sum(d.amount_usd) from costs.daily_costs as d group by 1
    select avg(amount_usd) from costs.daily_costs
    select mean(amount_usd) from costs.daily_costs
    select max(amount_usd) from costs.daily_costs
    select min(amount_usd), count(*) from costs.daily_costs
    select median(amount_usd) from costs.daily_costs
    select quantile_cont(amount_usd, 0.9) from costs.daily_costs
    select fsum(amount_usd) from costs.daily_costs
    select sum(distinct amount_usd) from costs.daily_costs
    select sum(1.19 * amount_usd) from costs.daily_costs
    select sum(coalesce(amount_usd, 0)) from costs.daily_costs
    select sum(amount_usd) from costs.daily_costs where cost_basis <> 'credits'
    select sum(amount_usd) from costs.daily_costs where cost_basis in ('billed', 'estimated')
    select sum(amount_usd) filter (where cost_basis <> 'credits') from costs.daily_costs
    select sum(amount_usd) from costs.unit_costs where cost_basis = 'estimated'
    select cost_basis, sum(quantity) from costs.unit_costs group by all
    select sum(quantity) from costs.unit_costs where metric = 'active_people' and provider = 'chatgpt'
    select sum(case when cost_basis <> 'credits' then amount_usd end) from costs.daily_costs
    select usage_date from costs.daily_costs group by all having sum(amount_usd) > 0
    select usage_date from costs.daily_costs group by all order by sum(amount_usd)
    select usage_date, sum(amount_usd) over (order by usage_date) from costs.daily_costs
    select sum(amount_usd) over w from costs.daily_costs window w as (partition by usage_date)
    select cost_basis, sum(sum(amount_usd)) over (order by usage_date) from costs.daily_costs group by 1, usage_date
    select cost_basis, sum(sum(amount_usd)) over () from costs.daily_costs group by cost_basis
    select usd from (select usage_date, sum(amount_usd) as usd from costs.daily_costs group by usage_date)
    with b as (select cost_basis, sum(amount_usd) as usd from costs.daily_costs group by all) select sum(usd) from b
    with a as (from costs.daily_costs), b as (select amount_usd as usd from a) select max(usd) from b
    select sum(usd) from (select amount_usd + 0 as usd from (select * exclude (provider) from costs.daily_costs))
    with recursive r as (select amount_usd as n from costs.by_day union all from r where false) select sum(n) from r
    select (select sum(amount_usd) from costs.daily_costs) as usd
    select * from costs.daily_costs where amount_usd = (select max(amount_usd) from costs.daily_costs)
    select sum(d.amount_usd) from costs.daily_costs as d join costs.by_day as o on o.connection <> d.connection
    select sum(amount_usd) from costs.daily_costs_named
    select month, sum(amount_usd) from costs.by_month group by all
    select sum(amount_usd) from costs.by_day
    select usage_date, sum(amount_usd) from costs.by_model group by all
    select team, sum(amount_usd) from costs.by_team group by all
    select usage_date, avg(amount_usd) from costs.by_actor group by all
    select sum(amount_usd) from costs.allocated_costs_named
    select sum(native_amount) from costs.daily_costs
    select sum(native_amount) from costs.daily_costs where cost_basis = 'billed'
    select native_unit, sum(native_amount) from costs.daily_costs group by all
    select currency, sum(native_amount) from costs.by_month where cost_basis = 'billed' group by all
    select sum(native_amount) from costs.allocated_costs
    select sum(BilledCost) from costs.focus
    select ServiceName, sum(EffectiveCost) from costs.focus group by all
    select x_CostBasis, sum(x_NativeAmount) from costs.focus group by all
    select sum(amount_value) from openai.costs
    select list_sum(list(amount_usd)) from costs.daily_costs
    select sum(trunc(100 * amount_usd)) from costs.daily_costs
    select sum(amount_usd // 1) from costs.daily_costs
    select sum(1 / (1 / nullif(amount_usd, 0))) from costs.daily_costs
    select stddev(amount_usd) from costs.daily_costs
    select arg_max(usage_date, amount_usd) from costs.daily_costs
    select sum((amount_usd || '')::decimal(38, 10)) from costs.daily_costs
    select sum(b) from (select sum(amount_usd) filter (where cost_basis = 'billed') as b from costs.daily_costs
      union all select sum(amount_usd) filter (where cost_basis = 'estimated') from costs.daily_costs)
""")


def test_what_adds_different_amounts_is_refused(copied: duckdb.DuckDBPyConnection) -> None:
    for query in ADDING:
        copied.execute(query)
        with pytest.raises(
            WarehouseError, match=r"mixes .* and .*: group by \w+, or keep one: where \w+ = '.*'; --mixed"
        ):
            refuse_mixed(copied, query)


RIGHT = one_a_line("""
    select sum(amount_usd) / sum(quantity) from costs.unit_costs where metric = 'commits' and cost_basis = 'billed'
    select cost_basis, sum(amount_usd) from costs.daily_costs group by all
    select sum(amount_usd) from costs.daily_costs group by cost_basis, usage_date
    select sum(amount_usd) from costs.daily_costs where cost_basis = 'billed'
    select sum(amount_usd) from costs.daily_costs where 'BILLED' = upper(cost_basis)
    select sum(amount_usd) from costs.daily_costs where cost_basis in ('billed')
    select sum(amount_usd) from costs.daily_costs where cost_basis like 'bill%'
    select sum(amount_usd) from costs.daily_costs where cost_basis not in ('estimated', 'notional', 'credits')
    select sum(amount_usd) from costs.daily_costs where provider = 'openai'
    select sum(amount_usd) from costs.daily_costs where source_table = 'anthropic.claude_code'
    select sum(d.amount_usd) from costs.daily_costs as d join (select 'billed' as cost_basis) using (cost_basis)
    select sum(amount_usd) from costs.daily_costs semi join (select 'billed' as b) on cost_basis = b
    select sum(amount_usd) from costs.daily_costs where cost_basis = (select min(cost_basis) from costs.daily_costs)
    select sum(case when cost_basis = 'billed' then amount_usd end) from costs.daily_costs
    select sum(case cost_basis when 'billed' then amount_usd else 0 end) from costs.daily_costs
    select sum(if(cost_basis = 'billed', amount_usd, 0)) from costs.daily_costs
    select sum(amount_usd * (cost_basis = 'billed')::int) from costs.daily_costs
    select cost_basis, sum(amount_usd) from costs.daily_costs group by cost_basis having sum(amount_usd) > 0
    select sum(amount_usd) over (partition by cost_basis order by usage_date) from costs.daily_costs
    select avg(amount_usd) over w from costs.daily_costs window w as (partition by cost_basis, provider)
    with b as (from costs.daily_costs where cost_basis = 'billed') select sum(amount_usd) from b group by usage_date
    select sum(usd) from (select 1 as usd, cost_basis from costs.daily_costs)
    select sum(rows) from (select count(amount_usd) as rows from costs.daily_costs)
    select sum(case when amount_usd > 0 then 1 else 0 end) from costs.daily_costs
    select count(amount_usd), count(distinct amount_usd), any_value(amount_usd) from costs.daily_costs
    select amount_usd / sum(amount_usd) over (partition by cost_basis) as share from costs.daily_costs
    select sum(amount_usd) from costs.allocated_costs
    select team, sum(amount_usd) from costs.by_team where cost_basis = 'billed' group by all
    select * from costs.by_month
    from costs.daily_costs
    select native_unit, currency, cost_basis, sum(native_amount) from costs.daily_costs group by all
    select sum(native_amount) from costs.daily_costs where native_unit = 'credits'
    select currency, native_unit, sum(native_amount) from costs.by_month where cost_basis = 'billed' group by all
    select BillingCurrency, sum(BilledCost), sum(EffectiveCost) from costs.focus group by all
    select sum(BilledCost) from costs.focus where BillingCurrency = 'USD'
    select sum(amount_value) from openai.costs where amount_currency = 'usd'
    select state, count(*), min(usage_date) from ledger.day_states group by all
    select 1
    select sum(amount_usd) filter (where cost_basis = 'billed') as billed, sum(amount_usd) filter (where cost_basis
      = 'estimated') as estimated from costs.daily_costs
    select sum(sum(amount_usd)) over (partition by cost_basis order by usage_date) from costs.daily_costs group by
      usage_date, cost_basis
    with b as (select cost_basis, sum(amount_usd) as usd from costs.daily_costs group by all) select sum(usd) from b
      where cost_basis = 'billed'
    select max(usd) from (select usage_date, sum(amount_usd) as usd from costs.daily_costs where cost_basis =
      'billed' group by all)
    select sum(usd) from (select sum(amount_usd) filter (where cost_basis = 'billed') as usd, usage_date from
      costs.daily_costs group by all)
    select sum(usd) from (select amount_usd as usd from costs.daily_costs where cost_basis = 'billed' union all
      select amount_usd from costs.allocated_costs where false)
    select sum(usd) from (select amount_usd as usd from costs.daily_costs where cost_basis = 'billed' union all by
      name select 1 as other)
    select avg(share) from (select amount_usd / sum(amount_usd) over (partition by cost_basis) as share from
      costs.daily_costs)
""")


def test_what_adds_equal_amounts_passes(copied: duckdb.DuckDBPyConnection, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for query in RIGHT:
        copied.execute(query)
        refuse_mixed(copied, query)
        assert caplog.messages == [], query


UNTOLD = one_a_line("""
    pivot costs.daily_costs on provider using sum(amount_usd)
    with recursive r as (select 1 as n union all select n + 1 from r where n < 3) select sum(n) from r
    select mean(), sum() from costs.by_day
    select sum(v) from (values (1), (2)) as t(v)
    summarize costs.by_month
    describe costs.by_month
    explain select sum(amount_usd) from costs.daily_costs
    selec
    select sum(amount_usd) from costs.nothing
    select sum(amont) from costs.daily_costs
""")


def test_what_cannot_be_told_passes(copied: duckdb.DuckDBPyConnection) -> None:
    for query in (*UNTOLD, ""):
        refuse_mixed(copied, query)


SAID = cases("""
    select sum(amount_usd) from costs.by_day where provider = 'anthropic'
      -> sum(amount_usd) mixes billed and estimated: group by cost_basis, or keep one: where cost_basis = 'billed'
    select sum(BilledCost) from costs.focus
      -> sum(billedcost) mixes EUR and USD: group by billingcurrency, or keep one: where billingcurrency = 'EUR'
    select sum(columns('amount.*')) from costs.daily_costs
      -> what the amounts of the query are cannot be proved: name each column
    select sum(billed_amount + amortized_amount) from costs.amortized
      -> "amortized"."billed_amount" + "amortized"."amortized_amount" mixes amounts of billed and effective: keep one
""")


def test_a_refusal_says_what_is_added_and_what_to_write(copied: duckdb.DuckDBPyConnection) -> None:
    for query, said in SAID:
        with pytest.raises(WarehouseError, match=f"^{re.escape(said)}; --mixed allows it$"):
            refuse_mixed(copied, query)


def test_the_documented_queries_pass(published: duckdb.DuckDBPyConnection, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    pages = "\n".join(
        page.read_text()
        for folder in ("README.md", "docs/*.md", "extensions/*/README.md")
        for page in sorted(ROOT.glob(folder))
    )
    queries = re.findall(r"```sql\n(.*?)```", pages, re.S) + re.findall(r'usage-assets query "(.*?)"', pages)
    about_costs = [query for query in queries if "costs." in query]
    assert len(about_costs) >= 7
    for query in about_costs:
        published.execute(query)
        refuse_mixed(published, query)
    assert caplog.messages == []
