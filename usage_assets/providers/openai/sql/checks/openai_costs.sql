-- costs.daily_costs holds every amount of openai.costs, per currency; dollars are dollars
select
  connection,
  usage_date,
  total,
  sum(expected) as expected,
  sum(found) as found
from (
  select
    connection,
    usage_date,
    upper(amount_currency) as total,
    amount_value as expected,
    0 as found
  from openai.costs
  union all
  select
    connection,
    usage_date,
    currency as total,
    0 as expected,
    native_amount as found
  from costs.daily_costs
  where source_table = 'openai.costs'
  union all
  select
    connection,
    usage_date,
    'amount_usd' as total,
    native_amount as expected,
    coalesce(amount_usd, 0) as found
  from costs.daily_costs
  where source_table = 'openai.costs' and currency = 'USD'
)
group by connection, usage_date, total
having sum(expected) <> sum(found)
