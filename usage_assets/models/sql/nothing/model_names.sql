-- what a source adds to the names of models: no rows
select
  null::varchar as provider,
  null::varchar[] as variant_words,
  null::varchar[] as variant_prefixes,
  null::varchar[] as not_models
where false
