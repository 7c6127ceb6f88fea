-- what the report of all products says of metered use is what the two metered reports say (days that all have)
-- (amounts are sums of doubles: within 1e-12 a row)
-- says: {total} of metered use: the report of all products says {found}, and the two metered reports {expected}
--   ({difference} apart)
-- do: Costs count the metered reports. Compare the day with GitHub's billing page; if it agrees with them, nothing is wrong
-- settled: github_copilot.ai_credits, github_copilot.premium_requests, github_copilot.billing_usage
-- reads: github_copilot.ai_credits, github_copilot.premium_requests
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
    true as is_metered,
    gross_amount,
    discount_amount,
    net_amount
  from github_copilot.ai_credits
  union all by name
  select
    connection,
    usage_date,
    true as is_metered,
    gross_amount,
    discount_amount,
    net_amount
  from github_copilot.premium_requests
  where not regexp_matches(lower(concat_ws(' ', sku, unit_type)), 'ai[ _-]?(credit|unit)')
  union all by name
  select
    connection,
    usage_date,
    false as is_metered,
    gross_amount,
    discount_amount,
    net_amount
  from github_copilot.billing_usage
  where (lower(product) like '%copilot%' and lower(coalesce(unit_type, '')) not like 'user%')
    or regexp_matches(lower(concat_ws(' ', sku, unit_type)), 'ai[ _-]?(credit|unit)|premium[ _-]?request')
)
select
  connection,
  usage_date,
  replace(measure, '_', ' ') as total,
  'USD' as unit,
  coalesce(sum(amount) filter (where is_metered), 0) as expected,
  coalesce(sum(amount) filter (where not is_metered), 0) as found
from (
  unpivot (from stated semi join all_stored using (connection, usage_date))
  on gross_amount, discount_amount, net_amount
  into name measure value amount
)
group by connection, usage_date, measure
having abs(expected - found) > count(*) * 0.000000000001
