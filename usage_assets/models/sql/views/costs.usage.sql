-- what was used of every provider, in the same columns. input_tokens are all that a model read, cached ones included: the cached share
-- is cached_input_tokens / input_tokens. cache_write_1h_tokens are those of cache_write_tokens that are kept for an hour. A counter
-- that a report does not have is null, never 0. service_tier is standard, batch, flex, priority or what else the report states.
-- is_billed is false where a plan, credits or a commitment cover the use, or another provider bills it. usage_bytes are what was
-- stored on a day: never add them over days
-- column connection: Connection: one provider organization or ChatGPT workspace
-- column provider: Provider that reports the use
-- column usage_date: UTC day of the usage
-- column model: Model, as its provider calls it; null: not stated
-- column service_tier: standard, batch, flex, priority or what else the report states; null: not stated
-- column context_window: Context window, such as 0-200k; null: not stated
-- column is_billed: false: a plan, credits or a commitment (Priority Tier) cover the use, or another provider bills it;
--   null: the report is of billed use
-- column project_id: Project of OpenAI, or sub account of a FOCUS file
-- column workspace_id: Workspace of Anthropic (null: the default one), ChatGPT or OpenRouter
-- column user_id: User, as the provider knows them; null: not stated
-- column api_key_id: API key; null: use without one, or not stated
-- column requests: Requests [requests]
-- column input_tokens: Input, cached input included [tokens]
-- column cached_input_tokens: Input that was read from a cache: a part of input_tokens [tokens]
-- column cache_write_tokens: Input that was written to a cache: a part of input_tokens [tokens]
-- column cache_write_1h_tokens: Those of cache_write_tokens that are kept for an hour [tokens]
-- column output_tokens: Output [tokens]
-- column images: Images [images]
-- column characters: Characters that were turned into speech [characters]
-- column seconds: Audio that was transcribed [seconds]
-- column usage_bytes: What was stored on the day: a level, never add days [bytes]
-- column sessions: Sessions of the code interpreter [sessions]
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
