-- of every model that tokens were used of some are billed, and of every model that tokens are billed of some were used
-- (Priority Tier is paid for in advance and not in the cost report; a filter of the usage report does not narrow the bill)
-- says_unbilled: {model} used {amount}, and the bill has none of it
-- says_unused: {model} is billed {amount} for tokens, and the usage report has none of it
-- do: Compare the Usage and Cost pages of the Claude Console for that day. If they agree, please report it
-- settled: sources
with used as (
  select
    connection,
    usage_date,
    model,
    sum(
      coalesce(uncached_input_tokens, 0)
      + coalesce(output_tokens, 0)
      + coalesce(cache_read_input_tokens, 0)
      + coalesce(cache_creation_5m_input_tokens, 0)
      + coalesce(cache_creation_1h_input_tokens, 0)
    ) as tokens
  from anthropic.usage_messages
  where coalesce(service_tier, '') <> 'priority' and model is not null
  group by connection, usage_date, model
  having tokens > 0
),
billed as (
  select
    connection,
    usage_date,
    model,
    concat_ws(' ', any_value(currency), any_value(native_unit)) as unit,
    sum(native_amount) as cents
  from costs.daily_costs
  where source_table = 'anthropic.cost_report' and cost_type = 'tokens' and model is not null
  group by connection, usage_date, model
  having cents <> 0
)
select
  connection,
  usage_date,
  model,
  if(cents is null, 'unbilled', 'unused') as says,
  if(cents is null, 'tokens', unit) as unit,
  coalesce(tokens, cents) as amount
from used
full join billed using (connection, usage_date, model)
where (tokens is null or cents is null)
  and not exists (
    from ledger.stored_days as narrowed
    where narrowed.table_name = 'anthropic.usage_messages'
      and narrowed.connection = connection
      and narrowed.usage_date = usage_date
      and narrowed.filters is not null
  )
