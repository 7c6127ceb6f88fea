-- one row per row of costs.daily_costs, with what its ids are called now, or were when they were last listed;
-- an id without a name is its own name: rows are neither lost nor doubled
create or replace view costs.daily_costs_named as
with
versions as (
  select 'project_id' as kind, connection, id, name, first_seen from openai.projects
  union all by name
  select 'workspace_id' as kind, connection, id, name, first_seen from anthropic.workspaces
  union all by name
  select 'user_id' as kind, connection, id, name, email, first_seen from openai.users
  union all by name
  select 'user_id' as kind, connection, id, name, first_seen from openai.service_accounts
  union all by name
  select 'user_id' as kind, connection, id, name, email, first_seen from anthropic.users
  union all by name
  select 'api_key_id' as kind, connection, id, name, first_seen from openai.project_api_keys
  union all by name
  select 'api_key_id' as kind, connection, id, name, first_seen from anthropic.api_keys
),
names as (
  select
    kind,
    connection,
    id,
    nullif(trim(name), '') as name,
    email
  from versions
  qualify row_number() over (partition by kind, connection, id order by first_seen desc) = 1
)
select
  daily_costs.*,
  coalesce(projects.name, daily_costs.project_id) as project_name,
  coalesce(workspaces.name, daily_costs.workspace_id) as workspace_name,
  coalesce(users.name, daily_costs.user_id) as user_name,
  users.email as user_email,
  coalesce(api_keys.name, daily_costs.api_key_name, daily_costs.api_key_id) as api_key_display_name
from costs.daily_costs
left join names as projects
  on projects.kind = 'project_id'
  and projects.connection = daily_costs.connection
  and projects.id = daily_costs.project_id
left join names as workspaces
  on workspaces.kind = 'workspace_id'
  and workspaces.connection = daily_costs.connection
  and workspaces.id = daily_costs.workspace_id
left join names as users
  on users.kind = 'user_id'
  and users.connection = daily_costs.connection
  and users.id = daily_costs.user_id
left join names as api_keys
  on api_keys.kind = 'api_key_id'
  and api_keys.connection = daily_costs.connection
  and api_keys.id = daily_costs.api_key_id
