-- one row per connection, day, line item (product and SKU) and model: the AI credits or premium requests that were used, and
-- what they cost before what the plan includes. A bill that is split among people is split with its quantity
-- reads: github_copilot.ai_credits, github_copilot.premium_requests
select
  source_table,
  connection,
  usage_date,
  'USD' as currency,
  product || ', ' || sku as line_item,
  model,
  sum(gross_quantity)::decimal(38, 24) as quantity,
  unit,
  true as is_split,
  sum(gross_amount) as list_amount
from (
  select 'github_copilot.ai_credits' as source_table, 'Credits' as unit, * from github_copilot.ai_credits
  union all by name
  select 'github_copilot.premium_requests' as source_table, 'Requests' as unit, * from github_copilot.premium_requests
)
group by source_table, connection, usage_date, product || ', ' || sku, model, unit
having count(gross_quantity) = count(*)
