-- title: Billed, valued in USD, day by day
-- note: A pale day may change: the provider has not yet settled it. The others were fetched after its settling time.
-- explain: --table costs.by_day --day {day} {of_provider} --where cost_basis=billed --column amount_usd
with
billed as (
{billed}
),
{states}
select
  usage_date as day,
  provider,
  of_provider,  -- for explain
  sum(dollars) as usd,
  if(bool_and(coalesce(is_final, false)), 'final', 'may change') as state
from billed
left join states using (connection, usage_date)
where usage_date >= $first
group by all
order by all
