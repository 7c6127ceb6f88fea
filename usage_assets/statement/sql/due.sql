-- one row per connection and day of the month whose costs have to be fetched or computed, as the code location has stated last
select distinct connection, usage_date
from ledger.due_days
where usage_date between $first and $last
  and state not in ('open', 'unsettled')
  and (
    table_name in ('costs.daily_costs', 'costs.allocated_costs')
    or table_name in (select source_table from accounting.cost_sources)
  )
order by all
