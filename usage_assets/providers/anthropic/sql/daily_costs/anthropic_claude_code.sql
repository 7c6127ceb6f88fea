-- one row per connection, day, actor, model, currency and cost basis; never part of what is billed:
-- API customers' estimates are already inside cost_report (estimated), subscribers pay a seat instead (notional)
with models as (
  select
    connection,
    usage_date,
    actor_email,
    api_key_name,
    case when customer_type = 'api' then 'estimated' else 'notional' end as cost_basis,
    unnest(from_json_strict(model_breakdown, '[{
      "model": "VARCHAR", "estimated_cost_cents": "DECIMAL(38,24)", "currency": "VARCHAR"
    }]'), recursive := true)
  from anthropic.claude_code
)
select
  connection,
  'anthropic' as provider,
  usage_date,
  'anthropic.claude_code' as source_table,
  cost_basis,
  sum(estimated_cost_cents) as native_amount,
  case when upper(currency) = 'USD' then 'cents' else 'minor units' end as native_unit,
  upper(currency) as currency,
  model,
  actor_email as user_id,
  api_key_name,
  '' as grouped_by
from models
group by connection, usage_date, cost_basis, upper(currency), model, actor_email, api_key_name
