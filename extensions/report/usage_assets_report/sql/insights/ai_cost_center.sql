-- one row per month, cost center and currency, and one for what has no cost center. They add up to the bill of the month
-- reads: costs.by_cost_center
select
  path_identifier(if(cost_center is null, ['without'], ['center', cost_center]) || [currency, month::varchar]) as identifier,
  concat_ws(' - ', coalesce(cost_center, 'no cost center'), strftime(month, '%Y-%m'), nullif(currency, 'USD')) as title,
  last_day(month) as usage_date,
  null as ai_connection,
  cost_center,
  currency,
  month || 'T00:00:00Z' as first_day,
  own_amount,
  shared_amount,
  total_amount,
  $report_url as report
from costs.by_cost_center
where last_day(month) > $since
qualify bool_or(cost_center is not null) over (partition by month)
order by identifier
