-- what port_entities.githubCopilotOrganizationUsage says of a day is what github_copilot.organization_1_day says
-- sums: daily_active_users, weekly_active_users, monthly_active_chat_users, monthly_active_agent_users,
--   user_initiated_interaction_count, code_generation_activity_count, code_acceptance_activity_count,
--   loc_suggested_to_add_sum, loc_suggested_to_delete_sum, loc_added_sum, loc_deleted_sum, prs_created_by_copilot,
--   prs_reviewed_by_copilot, prs_merged_by_copilot, total_copilot_applied_suggestions
-- nulls: unknown
select *, copilot_applied_suggestions as total_copilot_applied_suggestions
from github_copilot.organization_1_day
where organization is not null
