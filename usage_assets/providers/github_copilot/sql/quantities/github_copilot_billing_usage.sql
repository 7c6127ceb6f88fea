-- one row per connection, day and line item (product and SKU) of seats: months of users, which are bought every month, and
-- their price before discounts
-- reads: github_copilot.billing_usage
select
  'github_copilot.billing_usage' as source_table,
  connection,
  usage_date,
  'USD' as currency,
  product || ', ' || sku as line_item,
  if(count(quantity) = count(*), sum(quantity), null)::decimal(38, 24) as quantity,
  'User-Months' as unit,
  sum(gross_amount) as list_amount,
  'Purchase' as category,
  'Recurring' as frequency
from github_copilot.billing_usage
where lower(product) like '%copilot%'
  and lower(unit_type) like 'user%'
group by connection, usage_date, product || ', ' || sku
