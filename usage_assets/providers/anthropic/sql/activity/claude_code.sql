-- what was made with Claude Code; a counter that a record lacks is unknown on that day
-- reads: anthropic.claude_code
from (
  select
    connection,
    usage_date,
    source,
    cost_basis,
    case when count(actor_type) = count(commits) then coalesce(sum(commits), 0) end as commits,
    case when count(actor_type) = count(pull_requests) then coalesce(sum(pull_requests), 0) end as pull_requests,
    case when count(actor_type) = count(lines_added) then coalesce(sum(lines_added), 0) end as accepted_lines
  from (from complete where source = 'anthropic.claude_code')
  left join (select *, if(customer_type = 'api', 'estimated', 'notional') as cost_basis from anthropic.claude_code)
    using (connection, usage_date, cost_basis)
  group by connection, usage_date, source, cost_basis
)
unpivot include nulls (quantity for metric in (commits, pull_requests, accepted_lines))
