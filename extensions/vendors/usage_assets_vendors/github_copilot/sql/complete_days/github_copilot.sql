select
  connection,
  usage_date,
  'github_copilot' as provider,
  table_name as source,
  table_name = 'github_copilot.users_1_day' as has_people,
  table_name,
  slice
from stored
where table_name in ('github_copilot.organization_1_day', 'github_copilot.users_1_day')
