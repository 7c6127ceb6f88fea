-- amounts in model_breakdown of port_entities.claude_code_analytics are the minor units of anthropic.claude_code, per
-- currency (read by pattern: DuckDB's JSON functions take a number through a double, and Port is sent every digit. Counted in
-- minor units, as in sql/minor_units.sql: another arithmetic than the entity's, which may round half of an amount's last place)
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
  concat(currency, ' minor units') as unit,
  any_value((1 / coalesce(minor_unit, 0.01))::integer) as minor_units_of_one,
  coalesce(sum(in_minor_units), 0) as expected,
  coalesce(sum(in_whole_units), 0) * minor_units_of_one as found
from (
  select connection, usage_date, upper(currency) as currency, estimated_cost_cents as in_minor_units
  from source_models
  union all by name
  select connection, usage_date, upper(currency) as currency, amount as in_whole_units
  from entity_models
)
left join accounting.currencies using (currency)
group by connection, usage_date, currency
having abs(expected - found) > count(in_whole_units) * minor_units_of_one * 0.000000000000000000000001
