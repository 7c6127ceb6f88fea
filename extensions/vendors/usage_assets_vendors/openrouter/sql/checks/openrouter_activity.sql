-- costs.daily_costs holds both moneys of openrouter.activity
-- sums: native_amount
-- by: cost_basis
-- total: cost_basis
-- unit: 'USD'
unpivot (
  select
    connection,
    usage_date,
    usage as billed,
    byok_usage_inference as notional
  from openrouter.activity
)
on billed, notional
into name cost_basis value native_amount
