-- people who used Copilot; nobody on a stored day without any
-- reads: github_copilot.users_1_day, ledger.stored_days
select distinct
  connection,
  usage_date,
  'github_copilot' as provider,
  'github_copilot.users_1_day' as source,
  user_login as person
from (from ledger.stored_days where table_name = 'github_copilot.users_1_day') as days
left join github_copilot.users_1_day using (connection, usage_date)
