-- costs.daily_costs holds the three moneys of chatgpt.codex_usage: of user rows, else of the workspace row;
-- dollars are dollars
with counted as (
  select *
  from chatgpt.codex_usage
  qualify cut = if(bool_or(cut = 'user') over (partition by connection, usage_date), 'user', 'workspace')
)
select
  connection,
  usage_date,
  total,
  sum(expected) as expected,
  sum(found) as found
from (
  select
    connection,
    usage_date,
    'credits' as total,
    coalesce(credits, 0) as expected,
    0 as found
  from counted
  union all
  select
    connection,
    usage_date,
    'billed' as total,
    coalesce(cost_usd, 0) as expected,
    0 as found
  from counted
  union all
  select
    connection,
    usage_date,
    'estimated' as total,
    coalesce(estimated_cost_usd, 0) as expected,
    0 as found
  from counted
  union all
  select
    connection,
    usage_date,
    cost_basis as total,
    0 as expected,
    native_amount as found
  from costs.daily_costs
  where source_table = 'chatgpt.codex_usage'
  union all
  select
    connection,
    usage_date,
    'amount_usd' as total,
    native_amount as expected,
    coalesce(amount_usd, 0) as found
  from costs.daily_costs
  where source_table = 'chatgpt.codex_usage' and currency = 'USD'
)
group by connection, usage_date, total
having sum(expected) <> sum(found)
