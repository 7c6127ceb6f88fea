-- what was made with Claude Code on each stored day; a counter that a record lacks is unknown on that day. The cost is Anthropic's
-- estimate of Claude Code: its bill does not tell Claude Code from other use
-- reads: anthropic.claude_code, ledger.stored_days
select
  connection,
  usage_date,
  'anthropic' as provider,
  'anthropic.claude_code' as source,
  'anthropic.claude_code' as cost_source,
  metric,
  quantity
from (
  select
    connection,
    usage_date,
    case when count(actor_type) = count(commits) then coalesce(sum(commits), 0) end as commits,
    case when count(actor_type) = count(pull_requests) then coalesce(sum(pull_requests), 0) end as pull_requests,
    case when count(actor_type) = count(lines_added) then coalesce(sum(lines_added), 0) end as accepted_lines
  from (from ledger.stored_days where table_name = 'anthropic.claude_code') as days
  left join anthropic.claude_code using (connection, usage_date)
  group by connection, usage_date
)
unpivot include nulls (quantity for metric in (commits, pull_requests, accepted_lines))
