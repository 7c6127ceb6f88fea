-- members, whether active or not
-- reads: cursor.daily_usage
select connection, 'cursor' as provider, usage_date, user_id as id, coalesce(is_active, false) as is_active
from (from stored where table_name = 'cursor.daily_usage')
left join cursor.daily_usage using (connection, usage_date)
