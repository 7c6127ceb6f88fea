-- people who used Claude Code; nobody on a stored day without any
-- reads: anthropic.claude_code, ledger.stored_days
select
  connection,
  usage_date,
  'anthropic' as provider,
  'anthropic.claude_code' as source,
  'anthropic.claude_code' as cost_source,
  actor_email as person
from (from ledger.stored_days where table_name = 'anthropic.claude_code') as days
left join anthropic.claude_code using (connection, usage_date)
