-- how many billed rows have no dollar value, by month and provider: they are in no sum of dollars. Evidence needs a row: 0 is one
select month, provider, sum(rows_without_usd)::integer as cost_rows
from costs.by_month
where cost_basis = 'billed'
group by month, provider
order by month, provider
