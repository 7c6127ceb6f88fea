-- amounts in model_breakdown of port_entities.claude_code_analytics are the minor units of anthropic.claude_code, per
-- currency (read by pattern: DuckDB's JSON functions take a number through a double, and Port is sent every digit; dollars have
-- 24 places, those of a cent of 23 places would have 25, so that each model may be off by half of the last one)
-- says: what Port gets of Claude Code costs {found}, and anthropic.claude_code says {expected}
with
source_models as (
  select
    connection,
    usage_date,
    unnest(from_json(model_breakdown, '[{
      "estimated_cost_cents": "DECIMAL(38,24)", "currency": "VARCHAR"
    }]'), recursive := true)
  from anthropic.claude_code
),
entity_models as (
  select
    connection,
    usage_date,
    unnest(regexp_extract_all(model_breakdown, '"estimated_cost":\{"currency":"([^"]*)","amount":[-0-9.]+\}', 1))
      as currency,
    unnest(regexp_extract_all(model_breakdown, '"estimated_cost":\{"currency":"[^"]*","amount":([-0-9.]+)\}', 1))
      ::decimal(38, 24) as amount
  from port_entities.claude_code_analytics
)
select
  connection,
  usage_date,
  currency as unit,
  sum(expected) as expected,
  sum(found) as found
from (
  select
    connection,
    usage_date,
    source_models.currency,
    major_units(estimated_cost_cents, minor_unit) as expected,
    0 as found
  from source_models
  left join accounting.currencies on currencies.currency = upper(source_models.currency)
  union all
  select
    connection,
    usage_date,
    currency,
    0 as expected,
    amount as found
  from entity_models
)
group by connection, usage_date, currency
having abs(sum(expected) - sum(found)) >= count(*) * 0.000000000000000000000001
