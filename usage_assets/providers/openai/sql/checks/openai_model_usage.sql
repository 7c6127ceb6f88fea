-- requests and tokens of port_entities.openai_model_usage add up to those of OpenAI's usage reports (see
-- macros/openai_model_requests.sql for why web searches are not among them)
-- sums: requests, tokens
select
  connection,
  usage_date,
  num_model_requests as requests,
  coalesce(input_tokens, 0) + coalesce(output_tokens, 0) as tokens
from (
  from openai.usage_completions
  union all by name
  from openai.usage_decisions
  union all by name
  from openai.usage_embeddings
  union all by name
  from openai.usage_moderations
  union all by name
  from openai.usage_images
  union all by name
  from openai.usage_audio_speeches
  union all by name
  from openai.usage_audio_transcriptions
)
