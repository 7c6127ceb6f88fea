-- one row per connection, day, product and SKU of seats and of GitHub Models; billed. Metered use is billed per model in the other reports
-- reads: github_copilot.bill
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
  if(charge = 'seats', 'Recurring', 'Usage-Based') as charge_frequency,
  '' as grouped_by
from github_copilot.bill
where charge in ('seats', 'models')
group by connection, usage_date, usage_type, line_item, charge_frequency
