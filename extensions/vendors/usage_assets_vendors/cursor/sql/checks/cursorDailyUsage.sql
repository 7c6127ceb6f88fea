-- counts of port_entities.cursorDailyUsage add up to cursor.daily_usage
-- sums: total_lines_added, total_lines_deleted, accepted_lines_added, accepted_lines_deleted, total_applies, total_accepts,
--   total_rejects, composer_requests, chat_requests, agent_requests, total_tabs_shown, total_tabs_accepted,
--   subscription_included_reqs, api_key_reqs, usage_based_reqs, bugbot_usages
-- nulls: unknown
select
  * rename (
    subscription_included_requests as subscription_included_reqs,
    api_key_requests as api_key_reqs,
    usage_based_requests as usage_based_reqs
  )
from cursor.daily_usage
