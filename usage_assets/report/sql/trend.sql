-- title: Dollars billed, month by month
select month, provider, sum(amount_usd) as usd
from costs.by_month
where cost_basis = 'billed' and month between date_trunc('month', $last::date) - interval 12 months and $last
group by all
having usd is not null
order by all
