-- one row per connection and how many of its days in the range have no costs stored, of connections that have any
select
  connection,
  date_diff('day', $first::date, $last::date) + 1
  - count(distinct usage_date) filter (where usage_date between $first and $last) as days
from ledger.stored_days
where table_name = 'costs.daily_costs'
group by connection
having days > 0
order by connection
