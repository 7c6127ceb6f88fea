-- nothing where an openai connection covers the same use: then what is derived of this one is empty
-- reads: openai_legacy.usage, ledger.stored_days
select
  connection,
  usage_date,
  'openai_legacy' as provider,
  model,
  requests,
  context_tokens as input_tokens,
  cached_context_tokens as cached_input_tokens,
  generated_tokens as output_tokens
from openai_legacy.usage
where requests is not null
  and connection not in (
    select connection
    from ledger.stored_days
    where table_name = 'costs.daily_costs'
    group by connection
    having sum(row_count) = 0
  )
