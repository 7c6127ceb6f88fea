-- one row per connection, day, organization and actor: terminals, customer types and remote/local rows are added up
-- (an API key that is named like a person's address stays an actor of its own)
with
named as (
  select *, coalesce(api_key_name, actor_email, 'unknown') as name
  from anthropic.claude_code
),
records as (
  select
    *,
    case
      when min(actor_type) over (partition by connection, usage_date, organization_id, name) = actor_type then name
      else name || ':' || actor_type
    end as actor_name
  from named
),
models as (
  select
    connection,
    usage_date,
    organization_id,
    actor_type,
    actor_name,
    unnest(from_json_strict(model_breakdown, '[{
      "model": "VARCHAR", "input": "BIGINT", "output": "BIGINT", "cache_read": "BIGINT", "cache_creation": "BIGINT",
      "estimated_cost_cents": "DECIMAL(38,24)", "currency": "VARCHAR"
    }]'), recursive := true)
  from records
),
merged as (
  select
    connection,
    usage_date,
    organization_id,
    actor_type,
    actor_name,
    model,
    models.currency,
    {
      'model': model,
      'tokens': {
        'input': sum(input)::bigint,
        'output': sum(output)::bigint,
        'cache_read': sum(cache_read)::bigint,
        'cache_creation': sum(cache_creation)::bigint
      },
      'estimated_cost': {
        'currency': models.currency,
        'amount': major_units(sum(estimated_cost_cents), any_value(minor_unit))
      }
    } as merged_model
  from models
  left join accounting.currencies on currencies.currency = upper(models.currency)
  group by connection, usage_date, organization_id, actor_type, actor_name, model, models.currency
),
breakdowns as (
  select
    connection,
    usage_date,
    organization_id,
    actor_type,
    actor_name,
    to_json(list(merged_model order by model, currency))::varchar as model_breakdown
  from merged
  group by connection, usage_date, organization_id, actor_type, actor_name
),
actors as (
  select
    connection,
    usage_date,
    organization_id,
    actor_type,
    actor_name,
    string_agg(distinct terminal_type, ', ' order by terminal_type) as terminal_type,
    sum(num_sessions) as num_sessions,
    sum(lines_added) as lines_added,
    sum(lines_removed) as lines_removed,
    sum(commits) as commits,
    sum(pull_requests) as pull_requests,
    sum(edit_tool_accepted) as edit_tool_accepted,
    sum(edit_tool_rejected) as edit_tool_rejected,
    sum(write_tool_accepted) as write_tool_accepted,
    sum(write_tool_rejected) as write_tool_rejected
  from records
  group by connection, usage_date, organization_id, actor_type, actor_name
)
select
  actors.*,
  port_identifier(connection, organization_id || '-' || actor_name || '-' || usage_date) as identifier,
  actor_name || ' - ' || usage_date as title,
  usage_date || 'T00:00:00Z' as record_date,
  coalesce(model_breakdown, '[]') as model_breakdown
from actors
left join breakdowns using (connection, usage_date, organization_id, actor_type, actor_name)
