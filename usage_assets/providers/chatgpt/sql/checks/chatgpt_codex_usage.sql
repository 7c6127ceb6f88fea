-- costs.daily_costs holds the three moneys of chatgpt.codex_usage: of user rows, else of the workspace row
-- sums: native_amount
-- by: cost_basis
-- total: cost_basis
-- unit: if(cost_basis = 'credits', 'credits', 'USD')
unpivot (
  select
    connection,
    usage_date,
    credits,
    cost_usd as billed,
    estimated_cost_usd as estimated
  from chatgpt.codex_usage
  qualify cut = if(bool_or(cut = 'user') over (partition by connection, usage_date), 'user', 'workspace')
)
on credits, billed, estimated
into name cost_basis value native_amount
