-- suggested lines that people added with Cursor; unknown where a person's counter lacks
-- reads: cursor.daily_usage
select
  connection,
  usage_date,
  source,
  'accepted_lines' as metric,
  case when count(user_id) = count(accepted_lines_added) then coalesce(sum(accepted_lines_added), 0) end as quantity
from (from complete where source = 'cursor.daily_usage')
left join cursor.daily_usage using (connection, usage_date)
group by connection, usage_date, source
