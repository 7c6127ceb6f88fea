-- the days whose billed costs are stored, per connection, and whether the provider was last asked before it had settled them
with growing as (
  select
    connection,
    usage_date,
    bool_or(last_fetched_at < (usage_date + 1 + coalesce(settling_days, 0)::integer)::timestamp at time zone 'UTC')
      as is_growing
  from ledger.day_states
  join ledger.stored_days using (connection, usage_date, table_name, slice)
  join accounting.cost_sources on source_table = table_name
  where state <> 'settled' and billed_totals is not null
  group by all
)
select connection, usage_date, coalesce(bool_or(is_growing), false) as is_growing
from ledger.stored_days
left join growing using (connection, usage_date)
where table_name = 'costs.daily_costs'
  and slice in (select source_table from accounting.cost_sources where billed_totals is not null)
  and usage_date between $first and $last
group by all
order by all
