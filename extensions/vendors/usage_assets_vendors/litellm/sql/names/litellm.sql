-- reads: litellm.user_activity, litellm.team_activity
select
  'api_key_id' as kind,
  connection,
  api_key as id,
  api_key_alias as name,
  usage_date::timestamp at time zone 'UTC' as valid_from
from litellm.user_activity
where api_key_alias is not null
union all by name
select
  'workspace_id' as kind,
  connection,
  team_id as id,
  team_alias as name,
  usage_date::timestamp at time zone 'UTC' as valid_from
from litellm.team_activity
where team_alias is not null
