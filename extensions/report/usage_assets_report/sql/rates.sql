-- title: Exchange rates
-- short: 1 {currency}: {rate}
-- note: Billed amounts in other currencies are valued in USD, each at the rate of its day.
-- explain: --table costs.daily_costs {days} --where cost_basis=billed --where currency={currency} --where usd_rate={rate}
--   --where usd_rate_source={source} --column amount_usd
select
  currency,
  rate,
  source,
  valid_from,
  min(usage_date) as first_day,
  max(usage_date) as last_day,
  sum(amount_usd) as usd
from costs.daily_costs
join costs.rates_used using (connection, usage_date, source_table, currency)
where cost_basis = 'billed' and usage_date between $first and $last
group by all
order by currency, first_day, rate, source
