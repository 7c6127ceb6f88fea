-- people who used Copilot
-- reads: github_copilot.users_1_day
select distinct connection, usage_date, 'github_copilot.users_1_day' as source, user_login as person
from github_copilot.users_1_day
