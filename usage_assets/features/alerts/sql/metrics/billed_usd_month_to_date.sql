-- Billed US dollars of this month (UTC) that are stored, by team; unowned: no owner is configured
select connection, provider, team, sum(amount_usd) as value
from costs.by_team
where cost_basis = 'billed' and usage_date >= date_trunc('month', getvariable('usage_now')::timestamptz at time zone 'UTC')
group by all
having value is not null
order by all
