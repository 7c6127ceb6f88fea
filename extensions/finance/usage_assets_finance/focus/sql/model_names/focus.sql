-- what a cloud meters at another price: Azure's long and short contexts, its priority processing, batches, AWS's faster hardware
select
  'focus' as provider,
  ['shortco', 'shco', 'longco', 'loco', 'pp', 'batch', 'latencyoptimized'] as variant_words,
  []::varchar[] as variant_prefixes,
  []::varchar[] as not_models
