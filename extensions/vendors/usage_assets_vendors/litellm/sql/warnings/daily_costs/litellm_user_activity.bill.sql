-- the estimate of a model is at most 10 % (and a dollar) above what providers bill of it that day (if both have the day;
-- a bill may be larger, because not all use goes through the proxy)
-- says: LiteLLM estimates {found} for {model}, and {billed_by} billed {expected} ({difference} apart)
-- do: Compare the model's price in LiteLLM's configuration with the provider's price list: its budgets and tags use it
-- settled: litellm.user_activity
select
  connection,
  usage_date,
  model,
  string_agg(billed_by, ' and ' order by billed_by) as billed_by,
  'USD' as unit,
  sum(billed_usd) as expected,
  max(estimated_usd) as found
from costs.gateways_and_bills
group by connection, usage_date, model
having count(billed_usd) = count(*)
  and max(estimated_usd) > sum(billed_usd) * 1.1
  and max(estimated_usd) - sum(billed_usd) > 1
  and usage_date not in (
    -- a provider may still change these bills
    select bills.usage_date
    from costs.daily_costs as bills
    join ledger.day_states on day_states.connection = bills.connection
      and day_states.table_name = bills.source_table
      and day_states.usage_date = bills.usage_date
    where bills.cost_basis = 'billed' and day_states.state <> 'settled'
  )
