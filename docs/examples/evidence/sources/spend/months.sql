-- what is billed, valued in dollars, by month and provider
select date_trunc('month', usage_date)::date as month, provider, sum(amount_usd)::decimal(18, 6) as usd
from costs.counted_costs
where counted_in = 'USD'
group by month, provider
order by month, provider
