-- title: The month to its end
-- note: What is billed so far, and what to expect in the end: a range that holds four times out of five.
-- explain: --table costs.forecast_totals --where kind={kind} --where id={id} --where month={month}
select
  kind,  -- for explain
  id,  -- for explain
  if(kind = 'all', 'everything', kind || ' ' || name) as scope,
  month,
  settled + provisional as usd_so_far,
  provisional as usd_provisional,
  expected as usd_expected,
  low as usd_low,
  high as usd_high
from costs.forecast_totals
where month between date_trunc('month', $first::date) and $last
order by kind <> 'all', kind, usd_so_far desc
