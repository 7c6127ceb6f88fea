-- tokens in model_breakdown of port_entities.claude_code_analytics add up to anthropic.claude_code
-- says: {total}: what Port gets of Claude Code has {found}, and anthropic.claude_code has {expected}
with
source_models as (
  select
    connection,
    usage_date,
    unnest(from_json_strict(model_breakdown, '[{
      "input": "BIGINT", "output": "BIGINT", "cache_read": "BIGINT", "cache_creation": "BIGINT"
    }]'), recursive := true)
  from anthropic.claude_code
),
entity_models as (
  select
    connection,
    usage_date,
    unnest(from_json_strict(model_breakdown, '[{
      "tokens": {"input": "BIGINT", "output": "BIGINT", "cache_read": "BIGINT", "cache_creation": "BIGINT"}
    }]'), recursive := true)
  from port_entities.claude_code_analytics
)
select
  connection,
  usage_date,
  total,
  'tokens' as unit,
  coalesce(sum(expected), 0) as expected,
  coalesce(sum(found), 0) as found
from (
  unpivot source_models
  on columns(* exclude (connection, usage_date))
  into name total value expected
  union all by name
  unpivot entity_models
  on columns(* exclude (connection, usage_date))
  into name total value found
)
group by connection, usage_date, total
having coalesce(sum(expected), 0) <> coalesce(sum(found), 0)
