-- title: Anomalies and guardrails
-- note: Spikes, drops and level shifts of the last two weeks, per day, and days on which a guardrail was crossed. Volume and price
--   say how much of the difference comes from more tokens, and how much from dearer ones.
-- explain: --table costs.anomalies --where kind={kind} --where id={id} --where measure={measure} --where what={what}
--   --where first_day={first_day}
select
  what,
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
  if(is_provisional, 'provisional', 'settled') as state,
  driver,
  volume_usd,
  price_usd
from costs.anomalies
where (is_open or last_day between $first and $last) and closed_on is null
order by first_day desc, measure <> 'usd', measure, abs(actual - expected) desc
limit 100
