-- costs.daily_costs holds every estimated cent of anthropic.claude_code, per cost basis
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
    case when customer_type = 'api' then 'estimated' else 'notional' end as total,
    list_sum(
      from_json_strict(json_extract(model_breakdown, '$[*].estimated_cost_cents'), '["DECIMAL(38,24)"]')
    ) as expected,
    0 as found
  from anthropic.claude_code
  union all
  select
    connection,
    usage_date,
    cost_basis as total,
    0 as expected,
    native_amount as found
  from costs.daily_costs
  where source_table = 'anthropic.claude_code'
)
group by connection, usage_date, total
having sum(expected) <> sum(found)
