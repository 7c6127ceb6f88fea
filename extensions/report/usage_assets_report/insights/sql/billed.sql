-- what was billed, valued in USD, with the columns of every scope. series.sql and parts.sql read it
-- reads: costs.counted_costs, costs.daily_costs
select
  usage_date,
  connection,
  source_table,
  due_on,
  provider,
  team,
  coalesce(project_id, workspace_id) as project,
  family as model,
  model as model_as_sent,
  actor_id as person,
  coalesce(api_key_id, api_key_name) as api_key,
  coalesce(project_name, workspace_name) as project_name,
  actor_name as person_name,
  api_key_display_name as api_key_name,
  amount_usd as usd
from (
{charges}
)
where counted_in = 'USD'
