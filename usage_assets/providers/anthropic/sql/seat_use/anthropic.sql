-- people who used Claude Code as subscribers; who uses it with an API key needs no seat
-- reads: anthropic.claude_code
select
  connection,
  'anthropic' as provider,
  usage_date,
  actor_email as id,
  actor_email is not null as is_active,
  'only the use of Claude Code is reported' as is_part
from (from stored where table_name = 'anthropic.claude_code')
left join (from anthropic.claude_code where customer_type = 'subscription') using (connection, usage_date)
