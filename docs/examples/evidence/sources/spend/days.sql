-- what is billed on each day, and whether a provider may still change any report of the day
select
  usage_date,
  provider,
  sum(amount_usd)::decimal(18, 6) as usd,
  usage_date in (select usage_date from ledger.day_states where state <> 'settled') as is_provisional
from costs.counted_costs
where counted_in = 'USD'
group by usage_date, provider
order by usage_date, provider
