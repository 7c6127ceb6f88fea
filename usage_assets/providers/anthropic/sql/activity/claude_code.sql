-- what was made with Claude Code on each stored day; a counter that a record lacks is unknown on that day. The cost is Anthropic's
-- estimate of Claude Code, because its bill does not tell Claude Code from other use. What subscribers made is no cost of the API
-- reads: anthropic.claude_code, ledger.stored_days
select
  connection,
  usage_date,
  'anthropic' as provider,
  'anthropic.claude_code' as source,
  'anthropic.claude_code' as cost_source,
  cost_basis,
  metric,
  quantity
from (
  select
    connection,
    usage_date,
    cost_basis,
    case when count(actor_type) = count(commits) then coalesce(sum(commits), 0) end as commits,
    case when count(actor_type) = count(pull_requests) then coalesce(sum(pull_requests), 0) end as pull_requests,
    case when count(actor_type) = count(lines_added) then coalesce(sum(lines_added), 0) end as accepted_lines
  from (
    select connection, usage_date, unnest(['estimated', 'notional']) as cost_basis
    from ledger.stored_days
    where table_name = 'anthropic.claude_code'
  )
  left join (select *, if(customer_type = 'api', 'estimated', 'notional') as cost_basis from anthropic.claude_code)
    using (connection, usage_date, cost_basis)
  group by connection, usage_date, cost_basis
)
unpivot include nulls (quantity for metric in (commits, pull_requests, accepted_lines))
