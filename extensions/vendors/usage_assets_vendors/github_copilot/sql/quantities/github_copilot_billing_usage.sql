-- one row per connection, day and line item (product and SKU): its price before discounts; of seats also months of users, which are
-- bought every month
-- reads: github_copilot.bill
select
  'github_copilot.billing_usage' as source_table,
  connection,
  usage_date,
  'USD' as currency,
  product || ', ' || sku as line_item,
  if(count(quantity) = count(*) and min(charge) = 'seats', sum(quantity), null)::decimal(38, 24) as quantity,
  if(min(charge) = 'seats', 'User-Months', null) as unit,
  sum(gross_amount) as list_amount,
  if(min(charge) = 'seats', 'Purchase', 'Usage') as category,
  if(min(charge) = 'seats', 'Recurring', null) as frequency
from github_copilot.bill
where charge in ('seats', 'models')
group by connection, usage_date, product || ', ' || sku
having min(charge) = max(charge)
