-- which kind of use a name means, by its words: the first that is found. No words belong to one provider, but copilot_for_business. What
-- two names mean alike is one family, so that cached and uncached input have one sum each
-- reads: costs.daily_costs
-- columns: costs.daily_costs
-- column usage_family: cache write, cached input, seat, storage, tool, image, audio, reasoning, output, input, request, or other
-- column source: What says so: words, unresolved (words that mean nothing here), or not named
create or replace view models.usage_families as
select
  provider,
  usage_type,
  case
    when regexp_matches(usage_type, 'cache[-_ .]?(write|creat)', 'i') then 'cache write'
    when regexp_matches(replace(lower(usage_type), 'uncached', ''), 'cach(e|ing)') then 'cached input'
    when regexp_matches(usage_type, '\b(seats?|licen[cs]es?|subscriptions?|(copilot_(for_)?)?(business|enterprise))\b', 'i') then 'seat'
    when regexp_matches(usage_type, 'storage|vector[-_ ]store', 'i') then 'storage'
    when regexp_matches(usage_type, 'tool|search|code[-_ ](interpreter|execution)|container|session|fetch|grounding', 'i') then 'tool'
    when regexp_matches(usage_type, 'image|vision', 'i') then 'image'
    when regexp_matches(usage_type, 'audio|speech|voice|transcri|\b(tts|whisper)\b', 'i') then 'audio'
    when regexp_matches(usage_type, 'reasoning|thinking', 'i') then 'reasoning'
    when regexp_matches(usage_type, 'output|completion|\b(outpt?|opt)\b', 'i') then 'output'
    when regexp_matches(usage_type, 'input|prompt|embedding|\binpt?\b', 'i') then 'input'
    when regexp_matches(usage_type, 'request', 'i') then 'request'
    else 'other'
  end as usage_family,
  case
    when usage_type is null then 'not named'
    when usage_family = 'other' then 'unresolved'
    else 'words'
  end as source
from costs.daily_costs
group by all;

comment on view models.usage_families is
  'One row per provider and kind of use as sent: the family that its words name, such as input, cached input, output or seat'
