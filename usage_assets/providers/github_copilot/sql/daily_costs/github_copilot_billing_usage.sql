-- one row per connection, day, product and SKU of seats; billed. Metered use is billed per model in the other reports
select
  connection,
  'github_copilot' as provider,
  usage_date,
  'github_copilot.billing_usage' as source_table,
  'billed' as cost_basis,
  sum(net_amount) as native_amount,
  'dollars' as native_unit,
  'USD' as currency,
  sku as usage_type,
  product || ', ' || sku as line_item,
  '' as grouped_by
from github_copilot.billing_usage
where lower(product) like '%copilot%'
  and lower(unit_type) like 'user%'
group by connection, usage_date, usage_type, line_item
