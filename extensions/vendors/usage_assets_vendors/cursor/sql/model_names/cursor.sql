-- thinking and effort are settings of a request, fast and 1m cost more. Extra high is also xhigh
select
  'cursor' as provider,
  ['thinking', 'fast', '1m', 'none', 'minimal', 'low', 'medium', 'high', 'extra', 'xhigh', 'max'] as variant_words,
  ['premium'] as variant_prefixes,
  ['premium'] as not_models
