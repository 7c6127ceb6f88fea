-- title: Billed, valued in USD, month by month
-- note: The last month is up to the last day of the report.
-- explain: --table costs.by_day --start {month} --end {until} {of_provider} --where cost_basis=billed --column amount_usd
select
  date_trunc('month', usage_date)::date as month,
  coalesce(seller, provider) as provider,
  coalesce(command, ['--where', 'provider=' || provider]) as of_provider,  -- for explain
  least(last_day(month), $last::date) as until,  -- for explain
  sum(amount_usd) as usd
from costs.by_day
left join (
{sellers}
) using (connection, provider)
where cost_basis = 'billed'
  and usage_date between date_trunc('month', $last::date) - interval 12 months and $last
group by all
having usd is not null
order by all
