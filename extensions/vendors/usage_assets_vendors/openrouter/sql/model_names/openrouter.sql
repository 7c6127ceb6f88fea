-- o3-mini-high is o3-mini with more effort
select
  'openrouter' as provider,
  ['high'] as variant_words,
  []::varchar[] as variant_prefixes,
  []::varchar[] as not_models
