-- one row per connection, day, user and kind of money; the workspace's own row on days without any user row
-- credits have a dollar value only through a configured rate; cost_usd is billed natively, estimated_cost_usd is not billed
with
counted as (
  select *
  from chatgpt.codex_usage
  qualify cut = if(bool_or(cut = 'user') over (partition by connection, usage_date), 'user', 'workspace')
),
moneys as (
  unpivot (
    select
      connection,
      usage_date,
      workspace_id,
      user_id,
      credits,
      cost_usd as billed,
      estimated_cost_usd as estimated
    from counted
  )
  on credits, billed, estimated
  into name cost_basis value amount
)
select
  connection,
  'chatgpt' as provider,
  usage_date,
  'chatgpt.codex_usage' as source_table,
  cost_basis,
  sum(amount) as native_amount,
  case when cost_basis = 'credits' then 'credits' else 'dollars' end as native_unit,
  case when cost_basis = 'credits' then null else 'USD' end as currency,
  workspace_id,
  user_id,
  '' as grouped_by
from moneys
group by connection, usage_date, cost_basis, workspace_id, user_id
