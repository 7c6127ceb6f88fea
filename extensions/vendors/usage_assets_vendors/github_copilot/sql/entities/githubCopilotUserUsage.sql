-- one row per connection, day, organization and person
select
  connection,
  usage_date,
  port_identifier(connection, user_login || '@' || organization || '@' || usage_date) as identifier,
  user_login || '@' || organization || '@' || usage_date as title,
  usage_date || 'T00:00:00Z' as record_date,
  user_initiated_interaction_count,
  code_generation_activity_count,
  code_acceptance_activity_count,
  loc_suggested_to_add_sum,
  loc_suggested_to_delete_sum,
  loc_added_sum,
  loc_deleted_sum,
  organization as git_hub_org,
  user_login as username,
  used_agent,
  used_chat
from github_copilot.users_1_day
where organization is not null
