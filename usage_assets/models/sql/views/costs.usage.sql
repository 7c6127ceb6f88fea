-- what was used of every provider, in the same columns. input_tokens are all that a model read, cached ones included: the cached share
-- is cached_input_tokens / input_tokens. cache_write_1h_tokens are those of cache_write_tokens that are kept for an hour. A counter
-- that a report does not have is null, never 0. service_tier is standard, batch, flex, priority or what else the report states.
-- is_billed is false where a plan covers the use, or another provider bills it. usage_bytes are what was stored on a day: never add
-- them over days
create or replace view costs.usage as
select
  connection,
  provider,
  usage_date,
  model,
  service_tier,
  context_window,
  is_billed,
  project_id,
  workspace_id,
  user_id,
  api_key_id,
  requests,
  input_tokens,
  cached_input_tokens,
  cache_write_tokens,
  cache_write_1h_tokens,
  output_tokens,
  images,
  characters,
  seconds,
  usage_bytes,
  sessions
from (
{usage}
);

comment on view costs.usage is
  'One row per row of the usage reports: requests, tokens, images, audio, storage and sessions. Input includes cached input'
