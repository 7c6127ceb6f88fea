-- one row per id of a connection: what it is called now, or was when it was last listed, and whether it is a person's;
-- service_account_id: the service account that an API key belongs to
-- reads: costs.daily_costs
create or replace view costs.names as
with versions as (
{names}
)
select
  connection,
  kind,
  id,
  nullif(trim(name), '') as name,
  email,
  coalesce(is_service_account, false) as is_service_account,
  service_account_id
from versions
qualify row_number() over (partition by kind, connection, id order by valid_from desc) = 1;

comment on view costs.names is
  'One row per connection, kind of id (project_id, workspace_id, user_id, api_key_id) and id that a lookup has listed: its last name';

-- one row per row of costs.daily_costs, with what its ids are called; an id without a name is its own name: rows are neither
-- lost nor doubled
create or replace view costs.daily_costs_named as
select
  daily_costs.*,
  coalesce(projects.name, daily_costs.project_id) as project_name,
  coalesce(workspaces.name, daily_costs.workspace_id) as workspace_name,
  coalesce(users.name, daily_costs.user_id) as user_name,
  users.email as user_email,
  coalesce(api_keys.name, daily_costs.api_key_name, daily_costs.api_key_id) as api_key_display_name
from costs.daily_costs
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
