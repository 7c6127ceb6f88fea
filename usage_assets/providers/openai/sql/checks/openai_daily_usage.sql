-- requests and tokens of port_entities.openai_daily_usage add up to those of OpenAI's usage reports (see
-- macros/openai_model_requests.sql for why web searches are not among them)
-- sums: total_requests, total_tokens
select
  connection,
  usage_date,
  num_model_requests as total_requests,
  coalesce(input_tokens, 0) + coalesce(output_tokens, 0) as total_tokens
from query_table(
  [
    'openai.usage_completions', 'openai.usage_decisions', 'openai.usage_embeddings', 'openai.usage_moderations',
    'openai.usage_images', 'openai.usage_audio_speeches', 'openai.usage_audio_transcriptions'
  ],
  true  -- columns by name: what a report does not have is null
)
