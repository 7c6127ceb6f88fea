-- people who used Claude Code, as customers of the API or as subscribers
-- reads: anthropic.claude_code
select distinct
  connection,
  usage_date,
  'anthropic.claude_code' as source,
  if(customer_type = 'api', 'estimated', 'notional') as cost_basis,
  actor_email as person
from anthropic.claude_code
