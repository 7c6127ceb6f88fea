-- costs.daily_costs holds every net dollar of github_copilot.premium_requests, but for AI credits
-- sums: native_amount
-- by: currency
-- total: 'billed'
-- unit: currency
select
  connection,
  usage_date,
  'USD' as currency,
  net_amount as native_amount
from github_copilot.premium_requests
where not regexp_matches(lower(concat_ws(' ', sku, unit_type)), 'ai[ _-]?(credit|unit)')
