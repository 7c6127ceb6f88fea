-- one row per connection and day of the month whose bill has to be fetched or computed, as the code location has stated last
select distinct connection, usage_date
from ledger.due_days
anti join (from ledger.superseded_days where superseded_by is not null) using (connection, usage_date)
where usage_date between $first and $last
  and state not in ('open', 'unsettled')
  and if(table_name in ('costs.daily_costs', 'costs.allocated_costs'), slice, table_name) in (
    select source_table
    from accounting.cost_sources
    where billed_totals is not null
  )
order by all
