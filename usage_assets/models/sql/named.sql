-- one row per row of costs.daily_costs{by_key}, with what its ids are called; an id without a name is its own name: rows are
-- neither lost nor doubled
-- reads: costs.names, costs.daily_costs{by_key}
-- columns: costs.daily_costs{by_key}
-- column project_name: Name of the project when it was last listed; its id where no name is known
-- column workspace_name: Name of the workspace when it was last listed; its id where no name is known
-- column user_name: Name of the user when they were last listed; the id where none is known, or USAGE_PEOPLE keeps none
-- column user_email: Address of the user, as USAGE_PEOPLE wants it
-- column api_key_display_name: Name of the API key when it was last listed, otherwise as the source names it, otherwise its id
create or replace view costs.daily_costs{by_key}_named as
select
  daily_costs.*,
  coalesce(projects.name, daily_costs.project_id) as project_name,
  coalesce(workspaces.name, daily_costs.workspace_id) as workspace_name,
  coalesce(users.name, daily_costs.user_id) as user_name,
  users.email as user_email,
  coalesce(api_keys.name, daily_costs.api_key_name, daily_costs.api_key_id) as api_key_display_name
from costs.daily_costs{by_key} as daily_costs
left join costs.names as projects
  on projects.kind = 'project_id'
  and projects.connection = daily_costs.connection
  and projects.id = daily_costs.project_id
left join costs.names as workspaces
  on workspaces.kind = 'workspace_id'
  and workspaces.connection = daily_costs.connection
  and workspaces.id = daily_costs.workspace_id
left join costs.names as users
  on users.kind = 'user_id'
  and users.connection = daily_costs.connection
  and users.id = daily_costs.user_id
left join costs.names as api_keys
  on api_keys.kind = 'api_key_id'
  and api_keys.connection = daily_costs.connection
  and api_keys.id = daily_costs.api_key_id
