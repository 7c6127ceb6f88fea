-- what the report of all products says of metered use is what is counted of the two metered reports (days that all have)
-- (amounts are sums of doubles: within 1e-12 a row)
-- severity: error
-- says: {total} of {metered}: the report of all products says {found}, and the two metered reports {expected} ({difference} apart)
-- do: Costs count the metered reports. Compare the day with GitHub's billing page; if it agrees with them, nothing is wrong
-- settled: github_copilot.ai_credits, github_copilot.premium_requests, github_copilot.billing_usage
-- reads: github_copilot.bill, github_copilot.metered
with all_stored as (
  select connection, usage_date
  from ledger.stored_days
  where table_name in ('github_copilot.ai_credits', 'github_copilot.premium_requests', 'github_copilot.billing_usage')
  group by connection, usage_date
  having count(*) = 3
),
stated as (
  select
    connection,
    usage_date,
    unit as metered,
    true as is_counted,
    gross_amount,
    discount_amount,
    net_amount
  from github_copilot.metered
  where is_counted
  union all by name
  select
    connection,
    usage_date,
    unit as metered,
    false as is_counted,
    gross_amount,
    discount_amount,
    net_amount
  from github_copilot.bill
  where charge = 'metered'
)
select
  connection,
  usage_date,
  metered,
  replace(measure, '_', ' ') as total,
  'USD' as unit,
  coalesce(sum(amount) filter (where is_counted), 0) as expected,
  coalesce(sum(amount) filter (where not is_counted), 0) as found
from (
  unpivot (from stated semi join all_stored using (connection, usage_date))
  on gross_amount, discount_amount, net_amount
  into name measure value amount
)
group by connection, usage_date, metered, measure
having abs(expected - found) > count(*) * 0.000000000001
