-- one row per incident, and per day on which a guardrail was crossed, until some time after its last day
with odd as (
  select *, if(kind = 'all', 'everything', kind || ' ' || name) as scope
  from costs.anomalies
  where last_day > $since
)
select
  ai_anomaly_identifier(incident, kind, id, measure, what, first_day) as identifier,
  if(score is null, 'guardrail ' || what || ': ' || scope, what || ' of ' || scope) || ', ' || first_day as title,
  last_day as usage_date,
  if(kind = 'connection', id, null) as ai_connection,
  if(kind in ('project', 'workspace'), id, null) as project_id,
  if(kind in ('person', 'user'), id, null) as user_id,
  case
    when is_open then 'open'
    when lasts and closed_on is null then 'lasts'
    else 'closed'
  end as state,
  case
    when closed_on is not null and score is null
      then 'not crossed any more since ' || closed_on || ': days were restated, or the guardrail was changed'
    when closed_on is not null then 'no longer odd since ' || closed_on || ': days were restated, or it is part of another incident'
    when state = 'closed' then 'older than two weeks'
  end as closed_because,
  what,
  kind,
  scope,
  measure,
  first_day || 'T00:00:00Z' as first_day,
  last_day || 'T00:00:00Z' as last_day,
  actual,
  expected,
  low as expected_low,
  high as expected_high,
  is_provisional,
  driver,
  nullif(evidence, '') as evidence,
  volume_usd,
  price_usd,
  $report_url as report
from odd
order by identifier
