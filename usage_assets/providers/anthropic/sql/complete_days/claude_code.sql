-- the cost is Anthropic's estimate of Claude Code, because its bill does not tell Claude Code from other use. What subscribers
-- made is no cost of the API
select
  connection,
  usage_date,
  'anthropic' as provider,
  table_name as source,
  table_name as cost_source,
  unnest(['estimated', 'notional']) as cost_basis,
  true as has_people,
  table_name,
  slice
from stored
where table_name = 'anthropic.claude_code'
