-- one row per connection, day, line item (product and SKU) and model: the AI credits or premium requests that were used, and
-- what they cost before what the plan includes. A bill that is split among people is split with its quantity
-- reads: github_copilot.metered
select
  source_table,
  connection,
  usage_date,
  'USD' as currency,
  product || ', ' || sku as line_item,
  model,
  sum(gross_quantity)::decimal(38, 24) as quantity,
  if(min(unit) = 'ai-credits', 'Credits', 'Requests') as unit,
  true as is_split,
  sum(gross_amount) as list_amount
from github_copilot.metered
where is_counted
group by source_table, connection, usage_date, product || ', ' || sku, model
having count(gross_quantity) = count(*) and min(unit) = max(unit)
