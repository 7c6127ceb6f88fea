-- people who used Codex; nobody on a stored day without any. A workspace's own row names nobody
-- reads: chatgpt.codex_usage, ledger.stored_days
select distinct
  connection,
  usage_date,
  'chatgpt' as provider,
  'chatgpt.codex_usage' as source,
  user_id as person
from (from ledger.stored_days where table_name = 'chatgpt.codex_usage') as days
left join chatgpt.codex_usage using (connection, usage_date)
