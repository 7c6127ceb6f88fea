-- what is billed for each team, by month; unowned: no owner is stated
select date_trunc('month', usage_date)::date as month, team, sum(amount_usd)::decimal(18, 6) as usd
from costs.counted_costs
where counted_in = 'USD'
group by month, team
order by month, usd desc
