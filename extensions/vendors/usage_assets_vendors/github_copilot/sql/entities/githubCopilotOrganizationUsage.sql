-- one row per connection, day and organization
select
  connection,
  usage_date,
  port_identifier(connection, organization || '@' || usage_date) as identifier,
  organization || ' copilot-metrics ' || usage_date as title,
  usage_date || 'T00:00:00Z' as record_date,
  daily_active_users,
  code_generation_activity_count,
  code_acceptance_activity_count,
  loc_suggested_to_add_sum,
  loc_added_sum,
  user_initiated_interaction_count,
  organization as git_hub_org,
  weekly_active_users,
  monthly_active_chat_users,
  monthly_active_agent_users,
  loc_suggested_to_delete_sum,
  loc_deleted_sum,
  prs_created_by_copilot,
  prs_reviewed_by_copilot,
  prs_merged_by_copilot,
  copilot_applied_suggestions as total_copilot_applied_suggestions
from github_copilot.organization_1_day
where organization is not null
