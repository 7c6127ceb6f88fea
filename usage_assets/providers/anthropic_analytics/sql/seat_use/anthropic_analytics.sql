-- people who used Claude; the report lists nobody else
-- reads: anthropic_analytics.users
select connection, 'anthropic_analytics' as provider, usage_date, user_id as id, user_id is not null as is_active
from (from stored where table_name = 'anthropic_analytics.users')
left join anthropic_analytics.users using (connection, usage_date)
