-- counts of port_entities.githubCopilotUserUsage add up to github_copilot.users_1_day
-- sums: user_initiated_interaction_count, code_generation_activity_count, code_acceptance_activity_count,
--   loc_suggested_to_add_sum, loc_suggested_to_delete_sum, loc_added_sum, loc_deleted_sum
-- nulls: unknown
from github_copilot.users_1_day
where organization is not null
