-- web searches report the requests of completions again, so only their searches would be new
-- reads: openai.usage_completions, openai.usage_decisions, openai.usage_embeddings, openai.usage_moderations,
--   openai.usage_images, openai.usage_audio_speeches, openai.usage_audio_transcriptions, openai.usage_vector_stores,
--   openai.usage_code_interpreter_sessions
select
  connection,
  usage_date,
  'openai' as provider,
  model,
  case when batch then 'batch' when service_tier = 'default' then 'standard' else service_tier end as service_tier,
  project_id,
  user_id,
  api_key_id,
  num_model_requests as requests,
  input_tokens,
  input_cached_tokens as cached_input_tokens,
  input_cache_write_tokens as cache_write_tokens,
  output_tokens
from (
  from openai.usage_completions
  union all by name
  from openai.usage_decisions
)
union all by name
select
  connection,
  usage_date,
  'openai' as provider,
  model,
  project_id,
  user_id,
  api_key_id,
  num_model_requests as requests,
  input_tokens,
  images,
  characters,
  seconds
from (
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
union all by name
select connection, usage_date, 'openai' as provider, project_id, usage_bytes from openai.usage_vector_stores
union all by name
select connection, usage_date, 'openai' as provider, project_id, num_sessions as sessions
from openai.usage_code_interpreter_sessions
