"""Which queries say what their amounts are, and which are refused because that cannot be proved."""

from collections.abc import Sequence

import duckdb
import pytest

from usage_assets.warehouse.values import WarehouseError
from usage_assets_assistant.query.guard import amounts_of
from usage_assets_assistant.query.untrusted import anything
from usage_assets_assistant_tests.query.test_mixing import ADDING, copied
from usage_assets_tests.models.days import cases, one_a_line

__all__ = ["copied"]

BY_DAY = "sum(amount_usd)"
USD = {"unit": ["USD"]}
BILLED = {"cost_basis": ["billed"], **USD}
NATIVE = {"native_unit": ["cents", "dollars", "major units"], "currency": ["EUR", "USD"]}
WHERE = "from costs.by_day where cost_basis"
WITH = f"with a as (select {BY_DAY} as usd {WHERE} = '{{}}'), b as (select {BY_DAY} as usd {WHERE} = '{{}}')"
OF = "sum(amount_usd) filter (where cost_basis = '{}')"


OF_EACH: Sequence[tuple[object, str]] = (
    (
        {},
        f"""
        select count(*), max(usage_date) from costs.by_day
        select provider, sum(amount_usd) / sum(sum(amount_usd)) over () {WHERE} = 'billed' group by provider
        select sum(usd) from (values (1), (2)) as t(usd)
        """,
    ),
    (
        {0: BILLED},
        f"""
        {WITH.format("billed", "billed")} select coalesce(b.usd, 0) - coalesce(a.usd, 0) as change from a, b
        select {BY_DAY} - lag({BY_DAY}) over (order by usage_date) {WHERE} = 'billed' group by usage_date
        select stddev(amount_usd) {WHERE} = 'billed'
        select printf('%.2f', sum(amount_usd)) {WHERE} = 'billed'
        select sum(amount_usd) from costs.by_day as d join (select usage_date, count(*) as n from costs.usage
          group by usage_date) as u using (usage_date) where d.cost_basis = 'billed'
        """,
    ),
    (
        {1: BILLED},
        f"""
        select usage_date, sum(amount_usd) {WHERE} = 'billed' group by all
        select cost_basis, sum(amount_usd) {WHERE} = 'billed' group by rollup (cost_basis)
        select arg_max(provider, amount_usd), arg_max(amount_usd, usage_date) {WHERE} = 'billed'
        """,
    ),
    (
        {0: BILLED, 1: BILLED},
        f"select round(sum(amount_usd), 2), sum(amount_usd)::decimal(18, 2) {WHERE} = 'billed' limit 5",
    ),
    (
        {0: {"cost_basis": ["estimated"], **USD}},
        f"select {BY_DAY} / (select {BY_DAY} {WHERE} = 'billed') {WHERE} = 'estimated'",
    ),
    (
        {1: {"cost_basis": ["billed", "estimated"], **USD}},
        "select cost_basis, sum(amount_usd) from costs.by_day group by all",
    ),
    (
        {2: {"cost_basis": ["billed", "credits", "estimated"], **USD}},
        "select cost_basis as basis, b.cost_basis, amount_usd from costs.by_day as b order by all",
    ),
    (
        {2: {"cost_basis": ["billed"], **NATIVE}},
        f"select currency, native_unit, sum(native_amount) {WHERE} = 'billed' group by all",
    ),
    (
        {1: {"cost_basis": ["billed"], "native_unit": ["USD"], "currency": []}},
        f"""
        select provider, sum(list_amount) from costs.daily_costs where false group by all
          union all select provider, {BY_DAY} {WHERE} = 'billed' group by all
        """,
    ),
    (
        {0: {"kind": ["billed"], **NATIVE}},
        "select sum(billed_amount), currency, native_unit from costs.amortized group by all",
    ),
    (
        {0: {"kind": ["billed"], "unit": ["currency units"], "amount_currency": ["eur", "usd"]}},
        "select amount_value, amount_currency from openai.costs",
    ),
)
"""What the amounts in the columns of queries are of, and these queries."""


def test_each_amount_is_of_something(copied: duckdb.DuckDBPyConnection) -> None:
    for amounts, text in OF_EACH:
        for query in one_a_line(text):
            assert amounts_of(copied, query, anything) == amounts, query


def test_what_mixes_is_refused_without_a_way_round(copied: duckdb.DuckDBPyConnection) -> None:
    for query in (query for query in ADDING if "recursive" not in query):
        with pytest.raises(WarehouseError) as caught:
            amounts_of(copied, query, anything)
        assert "--mixed" not in str(caught.value), query


REFUSED = cases(f"""
    select usage_date, amount_usd from costs.by_day
      -> column 2 has amounts of billed and credits: also select cost_basis, or keep one
    select cost_basis, native_amount from costs.by_day
      -> column 2 has amounts of cents and credits: also select native_unit
    select 'billed' as cost_basis, amount_usd from costs.by_day
      -> column 2 has amounts of credits, and the column cost_basis says billed
    select 'billed' as cost_basis, amount_usd {WHERE} = 'estimated' -> select cost_basis itself
    select cost_basis, 'billed' as cost_basis, amount_usd from costs.by_day -> column 3 has amounts of credits, and
    from (select 'billed' as basis, amount_usd from costs.by_day) select basis, sum(amount_usd) group by all
      -> mixes billed and
    select nullif(cost_basis, 'billed') as cost_basis, amount_usd from costs.by_day
      -> column 2 has amounts of billed and credits
    select {OF.format("billed")} + {OF.format("estimated")} from costs.by_day
      -> may have costs twice: both sides are read from costs.daily_costs
    select (select {BY_DAY} {WHERE} = 'billed') + (select {BY_DAY} {WHERE} = 'estimated')
      -> instead of using it as a value
    {WITH.format("billed", "estimated")} select a.usd - b.usd from a, b -> mixes amounts of several cost_basis
    {WITH.format("billed", "billed")} select a.usd + b.usd from a, b -> may have costs twice
    {WITH.format("billed", "billed")} select a.usd - (-b.usd) from a, b -> may have costs twice
    with a as (select sum(amount_usd) as usd from costs.by_team where cost_basis = 'billed'),
      b as (select {BY_DAY} as usd {WHERE} = 'billed') select a.usd + b.usd from a, b -> may have costs twice
    select sum(billed_amount + amortized_amount) from costs.amortized -> mixes amounts of billed and effective
    select sum(list_amount + contracted_amount) from costs.daily_costs -> mixes amounts of list and contracted
    select sum(amount_usd + effective_usd) from costs.daily_costs -> leave out
    select sum(estimated_usd + billed_usd) from costs.gateways_and_bills -> mixes amounts of estimated and billed
    select sum(1 / (1 / amount_usd)) {WHERE} = 'billed' -> leave out
    select sum(n) from (select amount_usd as n from costs.by_day as d join costs.usage using (usage_date))
      -> a join may repeat amounts
    select greatest({OF.format("billed")}, {OF.format("estimated")}) from costs.by_day -> mixes amounts
    select coalesce({OF.format("estimated")}, {OF.format("billed")}) from costs.by_day -> mixes amounts
    select if(true, {OF.format("billed")}, {OF.format("estimated")}) from costs.by_day -> mixes amounts
    select amount_usd - lag(amount_usd) over (order by cost_basis) from costs.by_day -> mixes amounts
    select sum(amount_usd + native_amount) {WHERE} = 'billed' -> leave out
    select sum(d.amount_usd) from costs.by_day as d join costs.usage using (usage_date) -> a join may repeat amounts
    select usage_date, {BY_DAY} as usd {WHERE} = 'billed' group by all
      union all by name select cost_basis, {BY_DAY} as usd {WHERE} <> 'credits' group by all
      -> column 2 has amounts of billed and
    select list_sum(list(amount_usd)) {WHERE} = 'billed' -> leave out LIST_SUM
    select any_value(amount_usd) {WHERE} = 'billed' -> leave out ANY_VALUE
    select arg_max(provider, amount_usd) from costs.by_day -> mixes
    select {{'a': amount_usd}} from costs.by_day -> leave out
    select (amount_usd, 1) from costs.by_day -> leave out
    select sum(columns('amount.*')) from costs.by_day -> name each column
    from (pivot costs.by_day on provider in ('openai') using sum(amount_usd)) -> write pivot as sums
    with recursive r as (select amount_usd from costs.by_day union all from r) from r -> without recursion
    summarize costs.by_day -> write it as one SELECT
    select 1; select 2 -> write it as one SELECT
    selec -> write it
    select sum(amont) from costs.by_day -> amont
""")


def test_what_cannot_be_proved_is_refused(copied: duckdb.DuckDBPyConnection) -> None:
    for query, reason in REFUSED:
        with pytest.raises(WarehouseError) as caught:
            amounts_of(copied, query, anything)
        assert reason in str(caught.value)
        assert "\n" not in str(caught.value), query
