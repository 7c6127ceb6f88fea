-- one row per connection, day, product, SKU and model; billed. What the plan includes is not billed, and a row that the other metered
-- report owns is a cost of that one
-- reads: github_copilot.metered
select
  connection,
  'github_copilot' as provider,
  usage_date,
  source_table,
  'billed' as cost_basis,
  sum(net_amount) as native_amount,
  'dollars' as native_unit,
  'USD' as currency,
  model,
  sku as usage_type,
  product || ', ' || sku as line_item,
  '' as grouped_by
from github_copilot.metered
where source_table = 'github_copilot.ai_credits' and is_counted
group by connection, usage_date, source_table, model, usage_type, line_item
