-- one row per row of costs.daily_costs, under exactly one team: the owner of its API key, else of its user, its project, its
-- workspace, on that day; unowned where nobody owns any of them
create or replace view costs.daily_costs_owned as
with owners as (
  select
    * exclude (valid_until),
    {'team': team, 'cost_centre': cost_centre} as owner,
    coalesce(valid_until, date '9999-12-31') as valid_until
  from accounting.owners
),
owned as (
  select
    daily_costs.*,
    coalesce(
      api_keys.owner, users.owner, projects.owner, workspaces.owner, {'team': 'unowned', 'cost_centre': null}
    ) as owner
  from costs.daily_costs
  left join owners as api_keys
    on api_keys.kind = 'api_key'
    and api_keys.id = coalesce(daily_costs.api_key_id, daily_costs.api_key_name)
    and coalesce(api_keys.connection, daily_costs.connection) = daily_costs.connection
    and daily_costs.usage_date between api_keys.valid_from and api_keys.valid_until
  left join owners as users
    on users.kind = 'user'
    and users.id = daily_costs.user_id
    and coalesce(users.connection, daily_costs.connection) = daily_costs.connection
    and daily_costs.usage_date between users.valid_from and users.valid_until
  left join owners as projects
    on projects.kind = 'project'
    and projects.id = daily_costs.project_id
    and coalesce(projects.connection, daily_costs.connection) = daily_costs.connection
    and daily_costs.usage_date between projects.valid_from and projects.valid_until
  left join owners as workspaces
    on workspaces.kind = 'workspace'
    and workspaces.id = daily_costs.workspace_id
    and coalesce(workspaces.connection, daily_costs.connection) = daily_costs.connection
    and daily_costs.usage_date between workspaces.valid_from and workspaces.valid_until
)
select
  * exclude (owner),
  owner.team as team,
  owner.cost_centre as cost_centre
from owned
