-- one row per connection, day, product, SKU and model; billed. What the plan includes is not billed
select
  connection,
  'github_copilot' as provider,
  usage_date,
  'github_copilot.ai_credits' as source_table,
  'billed' as cost_basis,
  sum(net_amount) as native_amount,
  'dollars' as native_unit,
  'USD' as currency,
  model,
  sku as usage_type,
  product || ', ' || sku as line_item,
  '' as grouped_by
from github_copilot.ai_credits
group by connection, usage_date, model, usage_type, line_item
