-- what was billed in dollars, with the columns of every scope. series.sql and parts.sql read it
-- reads: costs.allocated_costs_named
select
  usage_date,
  connection,
  provider,
  team,
  coalesce(project_id, workspace_id) as project,
  model,
  actor_id as person,
  coalesce(api_key_id, api_key_name) as api_key,
  coalesce(project_name, workspace_name) as project_name,
  actor_name as person_name,
  api_key_display_name as api_key_name,
  amount_usd as usd
from costs.allocated_costs_named
where cost_basis = 'billed' and amount_usd is not null and usage_date between $first and $last
