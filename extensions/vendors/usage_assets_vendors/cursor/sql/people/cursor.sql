-- people who did anything with Cursor
-- reads: cursor.daily_usage
select distinct connection, usage_date, 'cursor.daily_usage' as source, user_id as person
from cursor.daily_usage
where is_active
