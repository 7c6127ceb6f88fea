-- one row per billed row of openai.costs for which API keys or users were refused (grouped_by), API key, user and step,
-- with how much they used of what it bills; none where no use is known:
-- * What the line item names goes with that of the same day, project, model and, where granted, API key or user:
--   cached input with cached tokens, input with the others (OpenAI counts cached tokens as input), output with output,
--   and text, audio and image tokens with their own where a line item is for those alone. Where cache writes have a line
--   item, tokens that were written go with that.
-- * Costs may name the snapshot (gpt-image-2-2026-04-21) where usage names the model, or the other way around, as seen of
--   images: one is the other where neither is used or billed under its own name in that project on that day.
-- * No report says whose request had a long context: what is billed for it ("gpt-5, output, long context") goes with all tokens.
-- * Where no report counts tokens of the model: with its images, characters or seconds.
-- * A line item that names a service tier ("priority | gpt-5, output") goes with tokens of that tier alone, and the others
--   of the day, project and model with the others. No line item says what went through the Batch API.
-- * A line item that does not name a model and what is counted stays as it is. So does one of a day whose usage was
--   narrowed down by a filter that costs do not take, or lacks a counter: those who are left would pay for the others.
-- Decisions are left out: which line items bill them is not known
with
narrowed as (
  select
    table_name as report,
    connection,
    usage_date
  from ledger.stored_days
  where len(list_filter(json_keys(filters), lambda name: name not in ('project_ids', 'models'))) > 0
),
reports as (
  select 1 as step, 'openai.usage_completions' as report, * from openai.usage_completions
  union all by name
  select 2 as step, 'openai.usage_embeddings' as report, * from openai.usage_embeddings
  union all by name
  select 3 as step, 'openai.usage_moderations' as report, * from openai.usage_moderations
  union all by name
  select 4 as step, 'openai.usage_images' as report, * from openai.usage_images
  union all by name
  select 5 as step, 'openai.usage_audio_speeches' as report, * from openai.usage_audio_speeches
  union all by name
  select 6 as step, 'openai.usage_audio_transcriptions' as report, * from openai.usage_audio_transcriptions
),
incomplete as (
  select distinct
    report,
    connection,
    usage_date
  from reports
  where case step
    when 1 then input_tokens + output_tokens
    when 4 then images
    when 5 then characters
    when 6 then seconds
    else input_tokens
  end is null
),
usage as (
  unpivot (
    select
      step,
      report,
      connection,
      usage_date,
      project_id,
      user_id,
      api_key_id,
      model,
      coalesce(service_tier, 'unknown') as service_tier,
      input_tokens - coalesce(input_cached_tokens, 0) as input,
      input_tokens - coalesce(input_cached_tokens, 0) - coalesce(input_cache_write_tokens, 0) as "input without writes",
      input_cache_write_tokens as "cache writes",
      input_cached_tokens as "cached input",
      output_tokens as output,
      input_text_tokens as "text input",
      input_audio_tokens as "audio input",
      input_image_tokens as "image input",
      output_text_tokens as "text output",
      output_audio_tokens as "audio output",
      output_image_tokens as "image output",
      images,
      characters,
      seconds
    from reports
    anti join narrowed using (report, connection, usage_date)
    anti join incomplete using (report, connection, usage_date)
  )
  on
    input,
    "input without writes",
    "cache writes",
    "cached input",
    output,
    "text input",
    "audio input",
    "image input",
    "text output",
    "audio output",
    "image output",
    images,
    characters,
    seconds
  into name measure value units
),
used as (
  select
    connection,
    usage_date,
    project_id,
    list(distinct model) as models
  from reports
  group by all
),
lines as (
  select
    rowid as bill,
    *,
    replace(regexp_replace(lower(usage_type), '[ _]tokens$|, long context$', ''), '_', ' ') as measure,
    string_split(grouped_by, ',') as granted
  from costs.daily_costs
  where cost_basis = 'billed' and source_table = 'openai.costs'
),
costs as (
  select
    * replace (
      if(measure = 'input' and bool_or(measure = 'cache writes') over alike, 'input without writes', measure) as measure
    ),
    list(distinct service_tier) over alike as service_tiers,
    list(distinct model) over (partition by connection, usage_date, project_id) as models
  from lines
  window alike as (partition by connection, usage_date, project_id, model)
)
select
  costs.connection,
  costs.usage_date,
  costs.bill,
  costs.native_amount,
  costs.amount_usd,
  usage.api_key_id,
  usage.user_id,
  sum(usage.units) as units,
  if(usage.measure in ('images', 'characters', 'seconds'), usage.measure, 'tokens') as unit,
  usage.step,
  case usage.measure
    when 'input' then 'input_tokens without input_cached_tokens'
    when 'input without writes' then 'input_tokens without input_cached_tokens and input_cache_write_tokens'
    when 'cache writes' then 'input_cache_write_tokens'
    when 'output' then 'output_tokens'
    else regexp_replace(usage.measure, '(.+) (input|output)', '\2_\1_tokens')
  end || ' of ' || usage.report || ' of the same day, model, ' || array_to_string(
    list_filter(costs.granted, lambda name: name in ('project_id', 'user_id', 'api_key_id')), ', '
  ) as basis
from costs
join used
  on used.connection = costs.connection
  and used.usage_date = costs.usage_date
  and used.project_id is not distinct from costs.project_id
join usage
  on usage.connection = costs.connection
  and usage.usage_date = costs.usage_date
  and usage.project_id is not distinct from costs.project_id
  and (
    usage.model = costs.model
    or (
      not list_contains(used.models, costs.model)
      and not list_contains(costs.models, usage.model)
      and len(usage.model) <> len(costs.model)
      and regexp_replace(usage.model, '-\d{4}-\d\d-\d\d$', '') = regexp_replace(costs.model, '-\d{4}-\d\d-\d\d$', '')
    )
  )
  and if(
    costs.service_tier is null,
    not list_contains(costs.service_tiers, usage.service_tier),
    usage.service_tier = costs.service_tier
  )
where usage.units > 0
  and usage.measure in (costs.measure, 'images', 'characters', 'seconds')
  and list_contains(costs.granted, 'project_id')
  and not list_has_all(costs.granted, ['api_key_id', 'user_id'])
  and (usage.api_key_id is not distinct from costs.api_key_id or not list_contains(costs.granted, 'api_key_id'))
  and (usage.user_id is not distinct from costs.user_id or not list_contains(costs.granted, 'user_id'))
group by all
