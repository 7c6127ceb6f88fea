-- one row per connection, day, product, SKU and model; billed. What the plan includes is not billed. Since June 2026, the report also
-- has the AI credits of github_copilot.ai_credits: each is counted there
select
  connection,
  'github_copilot' as provider,
  usage_date,
  'github_copilot.premium_requests' as source_table,
  'billed' as cost_basis,
  sum(net_amount) as native_amount,
  'dollars' as native_unit,
  'USD' as currency,
  model,
  sku as usage_type,
  product || ', ' || sku as line_item,
  '' as grouped_by
from github_copilot.premium_requests
where not regexp_matches(lower(concat_ws(' ', sku, unit_type)), 'ai[ _-]?(credit|unit)')
group by connection, usage_date, model, usage_type, line_item
