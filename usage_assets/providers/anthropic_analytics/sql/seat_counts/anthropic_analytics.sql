-- reads: anthropic_analytics.summaries
select connection, 'anthropic_analytics' as provider, usage_date, assigned_seat_count as seats
from anthropic_analytics.summaries
where assigned_seat_count is not null
