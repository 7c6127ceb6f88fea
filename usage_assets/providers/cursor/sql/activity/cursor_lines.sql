-- suggested lines that people added with Cursor on each stored day; unknown where a person's counter lacks
-- reads: cursor.daily_usage, ledger.stored_days
select
  connection,
  usage_date,
  'cursor' as provider,
  'cursor.daily_usage' as source,
  'accepted_lines' as metric,
  case when count(user_id) = count(accepted_lines_added) then coalesce(sum(accepted_lines_added), 0) end as quantity
from (from ledger.stored_days where table_name = 'cursor.daily_usage') as days
left join cursor.daily_usage using (connection, usage_date)
group by connection, usage_date
