-- what one metered report repeats of the other one's unit is what the other one says
-- (amounts are sums of doubles: within 1e-12 a row)
-- severity: error
-- says: {total} of {metered}: the report that owns them says {expected}, and the other metered report {found} ({difference} apart)
-- do: Costs count the first. Compare the day with GitHub's billing page; if it agrees with the second, please report it
-- settled: github_copilot.ai_credits, github_copilot.premium_requests
-- reads: github_copilot.metered
select
  connection,
  usage_date,
  unit_of_use as metered,
  replace(measure, '_', ' ') as total,
  'USD' as unit,
  sum(amount) filter (where is_counted) as expected,
  sum(amount) filter (where not is_counted) as found
from (
  unpivot (select * rename (unit as unit_of_use) from github_copilot.metered)
  on gross_amount, discount_amount, net_amount
  into name measure value amount
)
group by connection, usage_date, unit_of_use, measure
having abs(expected - found) > count(*) * 0.000000000001
