-- without rows of own keys: the provider behind it reports that use, too
-- reads: openrouter.activity
select
  connection,
  usage_date,
  'openrouter' as provider,
  model,
  workspace_id,
  requests,
  prompt_tokens as input_tokens,
  least(cached_tokens, prompt_tokens) as cached_input_tokens,
  completion_tokens as output_tokens
from openrouter.activity
where coalesce(byok_usage_inference, 0) = 0
