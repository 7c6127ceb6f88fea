-- nothing on days that an openai connection bills, because its reports have the same use
-- reads: openai_legacy.usage, ledger.partition_versions
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
anti join (
  select connection, usage_date
  from ledger.partition_versions
  where table_name = 'costs.daily_costs' and slice = 'openai_legacy.billing_usage'
  group by connection, usage_date
  having (arg_max(inputs, version) ->> 'billing connection') <> connection
) using (connection, usage_date)
where requests is not null
