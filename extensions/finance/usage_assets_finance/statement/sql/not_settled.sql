-- one row per connection and state: days of the month that its provider may still change, in the reports that bill
select
  connection,
  state,
  count(distinct usage_date) as days
from ledger.day_states
anti join (from ledger.superseded_days where superseded_by is not null) using (connection, usage_date)
where usage_date between $first and $last
  and state <> 'settled'
  and table_name in (
    select source_table
    from accounting.cost_sources
    where billed_totals is not null
  )
group by all
order by all
