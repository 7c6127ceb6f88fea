-- people who used Claude Code, as customers of the API or as subscribers; nobody on a stored day without any
-- reads: anthropic.claude_code, ledger.stored_days
select distinct
  connection,
  usage_date,
  'anthropic' as provider,
  'anthropic.claude_code' as source,
  'anthropic.claude_code' as cost_source,
  cost_basis,
  actor_email as person
from (
  select connection, usage_date, unnest(['estimated', 'notional']) as cost_basis
  from ledger.stored_days
  where table_name = 'anthropic.claude_code'
)
left join (select *, if(customer_type = 'api', 'estimated', 'notional') as cost_basis from anthropic.claude_code)
  using (connection, usage_date, cost_basis)
