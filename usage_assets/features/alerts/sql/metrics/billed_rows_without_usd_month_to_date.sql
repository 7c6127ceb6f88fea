-- Billed rows of this month (UTC) that are in no dollar, because no rate is known
select connection, provider, sum(rows_without_usd) as value
from costs.by_team
where cost_basis = 'billed' and usage_date >= date_trunc('month', getvariable('usage_now')::timestamptz at time zone 'UTC')
group by all
order by all
