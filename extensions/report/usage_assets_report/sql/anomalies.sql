-- title: Anomalies and guardrails
-- short: {first_day}, {what} of {scope}: {actual:measure} a day[, against {expected:measure}], {state}
-- note: Incidents (spikes, drops and level shifts) of the last two weeks and of these days, and days on which a guardrail was
--   crossed. Amounts are per day. Each row names the cause; the evidence is what else was odd because of it. Volume and price say
--   how much of the difference comes from more tokens, and how much from their price.
-- explain: --table costs.anomalies --where kind={kind} --where id={id} --where measure={measure} --where what={named}
--   --where first_day={first_day}
select
  if(score is null, 'guardrail ', '') || what as what,
  what as named,  -- for explain
  kind,  -- for explain
  id,  -- for explain
  if(kind = 'all', 'everything', kind || ' ' || name) as scope,
  measure,
  first_day,
  last_day,
  actual,
  expected,
  low,
  high,
  case
    when is_open then 'open'
    when lasts then 'lasts'
    else 'closed'
  end || if(is_provisional, ', provisional', '') as state,
  driver,
  nullif(evidence, '') as evidence,
  volume_usd,
  price_usd
from costs.anomalies
where {meant} and closed_on is null
order by first_day desc, measure <> 'usd', measure, abs(actual - expected) desc
{limit}
