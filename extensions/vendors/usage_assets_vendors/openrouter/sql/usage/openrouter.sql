-- partly: without rows of own keys alone, which the provider behind it reports, too. A row may have requests with an own key and
--   requests on credits (or a fee for the own key). Nobody knows how many of which, so its counters are unknown. least() ignores a
--   null: without the condition, all input of a row that states no cached tokens would be cached
-- reads: openrouter.activity
select
  connection,
  usage_date,
  'openrouter' as provider,
  model,
  workspace_id,
  if(is_known, requests, null) as requests,
  if(is_known, prompt_tokens, null) as input_tokens,
  if(is_known and cached_tokens is not null, least(cached_tokens, prompt_tokens), null) as cached_input_tokens,
  if(is_known, completion_tokens, null) as output_tokens
from (select *, coalesce(byok_usage_inference, 0) = 0 as is_known from openrouter.activity)
where is_known or usage <> 0
