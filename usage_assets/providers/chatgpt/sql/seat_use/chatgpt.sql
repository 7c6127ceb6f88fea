-- people who used Codex
-- reads: chatgpt.codex_usage
select
  connection,
  'chatgpt' as provider,
  usage_date,
  user_id as id,
  user_id is not null as is_active,
  'only the use of Codex is reported' as is_part
from (from stored where table_name = 'chatgpt.codex_usage')
left join chatgpt.codex_usage using (connection, usage_date)
