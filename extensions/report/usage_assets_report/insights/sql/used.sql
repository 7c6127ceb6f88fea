-- what was used, with the columns of every scope. series.sql, parts.sql and measured.sql read it
-- reads: costs.usage, costs.names, accounting.owners, models.names
with
-- as in costs.allocated_costs_named: the connections of an owner as a range, all of them where none is stated
owners as (
  select
    kind,
    id,
    team,
    coalesce(connection, '') as first_connection,
    coalesce(connection, '~') as last_connection,
    valid_from,
    coalesce(valid_until, date '9999-12-31') as valid_until
  from accounting.owners
)
select
  used.usage_date,
  used.connection,
  '' as source_table,
  null::integer as due_on,
  used.provider,
  coalesce(owned_keys.team, owned_users.team, owned_projects.team, owned_workspaces.team, 'unowned') as team,
  used.project_id,
  used.workspace_id,
  used.user_id,
  coalesce(used.project_id, used.workspace_id) as project,
  models.family as model,
  used.model as model_as_sent,
  coalesce(used.user_id, accounts.id, used.api_key_id) as person,
  used.api_key_id as api_key,
  coalesce(projects.name, used.project_id, workspaces.name, used.workspace_id) as project_name,
  case
    when used.user_id is not null then coalesce(users.name, used.user_id)
    when accounts.id is not null then coalesce(accounts.name, accounts.id)
    else coalesce(api_keys.name, used.api_key_id, 'unknown')
  end as person_name,
  coalesce(api_keys.name, used.api_key_id) as api_key_name,
  coalesce(input_tokens + output_tokens, input_tokens, output_tokens)::decimal(38, 0) as tokens,
  requests::decimal(38, 0) as requests,
  images::decimal(38, 0) as images,
  characters::decimal(38, 0) as characters,
  seconds::decimal(38, 0) as seconds,
  usage_bytes::decimal(38, 0) as usage_bytes,
  sessions::decimal(38, 0) as sessions
from costs.usage as used
left join models.names as models
  on models.provider = used.provider and models.model = used.model
left join costs.names as projects
  on projects.kind = 'project_id' and projects.connection = used.connection and projects.id = used.project_id
left join costs.names as workspaces
  on workspaces.kind = 'workspace_id' and workspaces.connection = used.connection and workspaces.id = used.workspace_id
left join costs.names as users
  on users.kind = 'user_id' and users.connection = used.connection and users.id = used.user_id
left join costs.names as api_keys
  on api_keys.kind = 'api_key_id' and api_keys.connection = used.connection and api_keys.id = used.api_key_id
left join costs.names as accounts
  on accounts.kind = 'user_id' and accounts.connection = used.connection and accounts.id = api_keys.service_account_id
left join owners as owned_keys
  on owned_keys.kind = 'api_key'
  and owned_keys.id = used.api_key_id
  and used.connection between owned_keys.first_connection and owned_keys.last_connection
  and used.usage_date between owned_keys.valid_from and owned_keys.valid_until
left join owners as owned_users
  on owned_users.kind = 'user'
  and owned_users.id = used.user_id
  and used.connection between owned_users.first_connection and owned_users.last_connection
  and used.usage_date between owned_users.valid_from and owned_users.valid_until
left join owners as owned_projects
  on owned_projects.kind = 'project'
  and owned_projects.id = used.project_id
  and used.connection between owned_projects.first_connection and owned_projects.last_connection
  and used.usage_date between owned_projects.valid_from and owned_projects.valid_until
left join owners as owned_workspaces
  on owned_workspaces.kind = 'workspace'
  and owned_workspaces.id = used.workspace_id
  and used.connection between owned_workspaces.first_connection and owned_workspaces.last_connection
  and used.usage_date between owned_workspaces.valid_from and owned_workspaces.valid_until
where used.usage_date between $first and $last
