-- one row per connection with stored costs in the month
select distinct connection
from ledger.stored_days
where table_name = 'costs.daily_costs' and usage_date between $first and $last
order by all
