-- people who did anything with Cursor; nobody on a stored day without any
-- reads: cursor.daily_usage, ledger.stored_days
select distinct
  connection,
  usage_date,
  'cursor' as provider,
  'cursor.daily_usage' as source,
  case when is_active then user_id end as person
from (from ledger.stored_days where table_name = 'cursor.daily_usage') as days
left join cursor.daily_usage using (connection, usage_date)
