-- requests and tokens of port_entities.openai_model_usage add up to openai_legacy.usage
-- sums: requests, tokens
select
  connection,
  usage_date,
  requests,
  context_tokens + generated_tokens as tokens
from openai_legacy.usage
