-- requests and tokens of port_entities.openai_daily_usage add up to openai_legacy.usage
-- sums: total_requests, total_tokens
select
  connection,
  usage_date,
  requests as total_requests,
  context_tokens + generated_tokens as total_tokens
from openai_legacy.usage
