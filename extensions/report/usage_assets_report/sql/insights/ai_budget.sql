-- one row per budget and period, and per purchase of credits, until some time after its last day
with status as (
  select
    *,
    if(has_costs is distinct from false, settled + provisional, null)::decimal(38, 24) as spent,
    if(kind = 'all', 'everything', kind || ' ' || id) as scope
  from costs.budget_status
  where last_day > $since
)
select
  ai_budget_identifier(source, id, budget, first_day) as identifier,
  concat_ws(' - ', budget, first_day || ' to ' || last_day) as title,
  last_day as usage_date,
  if(kind = 'connection', id, null) as ai_connection,
  if(kind in ('project', 'workspace'), id, null) as project_id,
  if(kind = 'user', id, null) as user_id,
  budget,
  source,
  scope,
  first_day || 'T00:00:00Z' as first_day,
  last_day || 'T00:00:00Z' as last_day,
  unit,
  amount,
  spent,
  if(spent is null, null, provisional) as provisional_part,
  (spent * 100 / nullif(amount, 0))::decimal(18, 1) as spent_percent,
  expected,
  low as expected_low,
  high as expected_high,
  exhausted_on || 'T00:00:00Z' as exhausted_on,
  nullif(thresholds, '') as thresholds,
  rates,
  doubts,
  case
    when spent >= amount then 'used up'
    when expected >= amount then 'at risk'
    else 'within budget'
  end as state,
  $report_url as report
from status
order by identifier
