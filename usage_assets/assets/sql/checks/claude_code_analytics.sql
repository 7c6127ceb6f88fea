-- every counter of port_entities.claude_code_analytics adds up to anthropic.claude_code, also inside model_breakdown
with
source_models as (
  select
    connection,
    usage_date,
    unnest(from_json(model_breakdown, '[{
      "input": "BIGINT", "output": "BIGINT", "cache_read": "BIGINT", "cache_creation": "BIGINT"
    }]'), recursive := true)
  from anthropic.claude_code
),
entity_models as (
  select
    connection,
    usage_date,
    unnest(from_json(model_breakdown, '[{
      "tokens": {"input": "BIGINT", "output": "BIGINT", "cache_read": "BIGINT", "cache_creation": "BIGINT"}
    }]'), recursive := true)
  from port_entities.claude_code_analytics
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
    'num_sessions' as total,
    num_sessions as expected,
    0 as found
  from anthropic.claude_code
  union all
  select
    connection,
    usage_date,
    'num_sessions' as total,
    0 as expected,
    num_sessions as found
  from port_entities.claude_code_analytics
  union all
  select
    connection,
    usage_date,
    'lines_added' as total,
    lines_added as expected,
    0 as found
  from anthropic.claude_code
  union all
  select
    connection,
    usage_date,
    'lines_added' as total,
    0 as expected,
    lines_added as found
  from port_entities.claude_code_analytics
  union all
  select
    connection,
    usage_date,
    'lines_removed' as total,
    lines_removed as expected,
    0 as found
  from anthropic.claude_code
  union all
  select
    connection,
    usage_date,
    'lines_removed' as total,
    0 as expected,
    lines_removed as found
  from port_entities.claude_code_analytics
  union all
  select
    connection,
    usage_date,
    'commits' as total,
    commits as expected,
    0 as found
  from anthropic.claude_code
  union all
  select
    connection,
    usage_date,
    'commits' as total,
    0 as expected,
    commits as found
  from port_entities.claude_code_analytics
  union all
  select
    connection,
    usage_date,
    'pull_requests' as total,
    pull_requests as expected,
    0 as found
  from anthropic.claude_code
  union all
  select
    connection,
    usage_date,
    'pull_requests' as total,
    0 as expected,
    pull_requests as found
  from port_entities.claude_code_analytics
  union all
  select
    connection,
    usage_date,
    'edit_tool_accepted' as total,
    edit_tool_accepted as expected,
    0 as found
  from anthropic.claude_code
  union all
  select
    connection,
    usage_date,
    'edit_tool_accepted' as total,
    0 as expected,
    edit_tool_accepted as found
  from port_entities.claude_code_analytics
  union all
  select
    connection,
    usage_date,
    'edit_tool_rejected' as total,
    edit_tool_rejected as expected,
    0 as found
  from anthropic.claude_code
  union all
  select
    connection,
    usage_date,
    'edit_tool_rejected' as total,
    0 as expected,
    edit_tool_rejected as found
  from port_entities.claude_code_analytics
  union all
  select
    connection,
    usage_date,
    'write_tool_accepted' as total,
    write_tool_accepted as expected,
    0 as found
  from anthropic.claude_code
  union all
  select
    connection,
    usage_date,
    'write_tool_accepted' as total,
    0 as expected,
    write_tool_accepted as found
  from port_entities.claude_code_analytics
  union all
  select
    connection,
    usage_date,
    'write_tool_rejected' as total,
    write_tool_rejected as expected,
    0 as found
  from anthropic.claude_code
  union all
  select
    connection,
    usage_date,
    'write_tool_rejected' as total,
    0 as expected,
    write_tool_rejected as found
  from port_entities.claude_code_analytics
  union all
  select
    connection,
    usage_date,
    'model_breakdown input' as total,
    input as expected,
    0 as found
  from source_models
  union all
  select
    connection,
    usage_date,
    'model_breakdown input' as total,
    0 as expected,
    input as found
  from entity_models
  union all
  select
    connection,
    usage_date,
    'model_breakdown output' as total,
    output as expected,
    0 as found
  from source_models
  union all
  select
    connection,
    usage_date,
    'model_breakdown output' as total,
    0 as expected,
    output as found
  from entity_models
  union all
  select
    connection,
    usage_date,
    'model_breakdown cache_read' as total,
    cache_read as expected,
    0 as found
  from source_models
  union all
  select
    connection,
    usage_date,
    'model_breakdown cache_read' as total,
    0 as expected,
    cache_read as found
  from entity_models
  union all
  select
    connection,
    usage_date,
    'model_breakdown cache_creation' as total,
    cache_creation as expected,
    0 as found
  from source_models
  union all
  select
    connection,
    usage_date,
    'model_breakdown cache_creation' as total,
    0 as expected,
    cache_creation as found
  from entity_models
)
group by connection, usage_date, total
having sum(expected) <> sum(found)
