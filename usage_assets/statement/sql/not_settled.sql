-- one row per connection and state: days of the month that its provider may still change, in reports that costs come from
select
  connection,
  state,
  count(distinct usage_date) as days
from ledger.day_states
where usage_date between $first and $last
  and state <> 'settled'
  and (connection, table_name) in (select (connection, slice) from ledger.stored_days where table_name = 'costs.daily_costs')
group by all
order by all
