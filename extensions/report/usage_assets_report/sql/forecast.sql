-- title: Month-end forecast
-- short: {month}, {scope}: {usd_so_far} so far, [{usd_expected} expected|forecast unknown]
-- note: What is billed so far, valued in USD, and what to expect at the end of the month: a range that holds four times out of five.
--   Everything is the sum of its connections. Teams need not add up to it: each is forecast on its own, and some costs have no team.
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
  high as usd_high,
  expected_reason as why_unknown,
  rates
from costs.forecast_totals
where month between date_trunc('month', $first::date) and $last
  or (month = $last::date + 1 and settled + provisional = 0)  -- of which no day is over yet
order by month desc, kind <> 'all', kind, usd_so_far desc, usd_expected desc
