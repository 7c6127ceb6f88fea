-- people who used Copilot
-- reads: github_copilot.users_1_day
select connection, 'github_copilot' as provider, usage_date, user_login as id, user_login is not null as is_active
from (from stored where table_name = 'github_copilot.users_1_day')
left join github_copilot.users_1_day using (connection, usage_date)
