-- title: Budgets and prepaid credits
-- short: {budget}, {scope}: [{spent:unit} spent of ]{amount:unit} budget
-- note: Spent so far (of a budget in USD: billed, valued in USD), and what to expect at the end of the period: a range that holds four
--   times out of five. Used up: the day on which stored amounts reached the budget, or the day to come on which they are expected to.
-- explain: --table costs.budget_status --where source={source} --where kind={kind} --where id={id} --where budget={budget}
--   --where first_day={first_day}
select
  budget,
  source,  -- for explain
  kind,  -- for explain
  id,  -- for explain
  concat_ws(': ', if(kind = 'all', 'everything', kind || ' ' || id), if(has_costs is distinct from false, null, 'no stored costs in ' || unit)) as scope,
  first_day,
  last_day,
  unit,
  amount,
  if(has_costs is distinct from false, settled + provisional, null) as spent,
  if(has_costs is distinct from false, provisional, null) as provisional_part,
  expected,
  low,
  high,
  expected_reason as why_unknown,
  exhausted_on as used_up_on,
  thresholds as thresholds_reached,
  rates,
  doubts as contradicted_by
from costs.budget_status
where last_day >= $first and first_day <= $last
order by first_day desc, budget
