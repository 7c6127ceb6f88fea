-- title: Billed, valued in USD, day by day
-- note: A pale day is provisional: the provider may still change it. The others were fetched after its settling time.
-- explain: --table costs.by_day --day {day} --where provider={provider} --where cost_basis=billed --column amount_usd
with
billed as (
{billed}
),
states as (
  select connection, usage_date, bool_and(final_at is not null) as is_final
  from ledger.day_states
  join accounting.cost_sources on source_table = table_name
  where usage_date between $first and $last
  group by all
)
select
  usage_date as day,
  provider,
  sum(dollars) as usd,
  if(bool_and(coalesce(is_final, false)), 'final', 'provisional') as state
from billed
left join states using (connection, usage_date)
where usage_date >= $first
group by all
order by all
