-- of every model that tokens were used of some are billed, and of every model that tokens are billed of some were used
-- (Priority Tier is paid for in advance and not in the cost report)
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
    sum(native_amount) as cents
  from costs.daily_costs
  where source_table = 'anthropic.cost_report' and cost_type = 'tokens' and model is not null
  group by connection, usage_date, model
  having cents <> 0
)
select
  connection,
  usage_date,
  case when cents is null then 'billed tokens of ' else 'tokens that were used of the billed ' end || model as total,
  coalesce(tokens, cents) as expected,
  0 as found
from used
full join billed using (connection, usage_date, model)
where tokens is null or cents is null
