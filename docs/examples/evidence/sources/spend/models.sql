-- what is billed for each model, by month, whoever sells it
select
  date_trunc('month', usage_date)::date as month,
  coalesce(family, 'no model') as model,
  sum(amount_usd)::decimal(18, 6) as usd
from costs.counted_costs
where counted_in = 'USD'
group by all
order by month, usd desc
