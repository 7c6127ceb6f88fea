-- one row per connection and day of the month whose costs have changed since a moment
select distinct connection, usage_date
from ledger.restatements
where table_name = 'costs.daily_costs' and usage_date between $first and $last and found_at > $since
order by all
