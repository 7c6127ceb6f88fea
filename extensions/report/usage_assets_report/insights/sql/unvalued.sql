-- one row per connection and currency with a rate on some of its days, but not on others: the days without it, and the last with it
-- reads: costs.daily_costs
select
  connection,
  currency,
  list(usage_date) filter (not is_valued) as without_rate,
  max(usage_date) filter (is_valued) as last_valued
from (
  select connection, currency, usage_date, bool_and(amount_usd is not null) as is_valued
  from costs.daily_costs
  where cost_basis = 'billed' and native_amount <> 0 and usage_date between $first and $last
  group by all
)
group by all
having bool_or(is_valued) and not bool_and(is_valued)
order by all
