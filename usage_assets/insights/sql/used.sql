-- what was used, with the columns of every scope. series.sql, parts.sql and measured.sql read it
-- reads: costs.usage, costs.names, accounting.owners, models.names
with
used as (
  select row_number() over () as number, *
  from costs.usage
  where usage_date between $first and $last
),
owned as (
  select number, arg_min(team, rank) as team
  from (
    select
      number,
      connection,
      usage_date,
      unnest(['api_key', 'user', 'project', 'workspace']) as kind,
      unnest([api_key_id, user_id, project_id, workspace_id]) as id,
      unnest([1, 2, 3, 4]) as rank
    from used
  ) as places
  join accounting.owners
    on owners.kind = places.kind
    and owners.id = places.id
    and coalesce(owners.connection, places.connection) = places.connection
    and usage_date between valid_from and coalesce(valid_until, date '9999-12-31')
  group by number
)
select
  used.usage_date,
  used.connection,
  '' as source_table,
  null::integer as due_on,
  used.provider,
  coalesce(owned.team, 'unowned') as team,
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
from used
left join owned using (number)
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
