-- costs.daily_costs holds every estimated cent of anthropic.claude_code, per cost basis
-- sums: native_amount
-- by: cost_basis
-- total: cost_basis
-- unit: 'cents'
select
  connection,
  usage_date,
  case when customer_type = 'api' then 'estimated' else 'notional' end as cost_basis,
  list_sum(
    from_json_strict(json_extract(model_breakdown, '$[*].estimated_cost_cents'), '["DECIMAL(38,24)"]')
  ) as native_amount
from anthropic.claude_code
