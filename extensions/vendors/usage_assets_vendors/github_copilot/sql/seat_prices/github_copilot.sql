-- the price of a seat before discounts, by the plan that its SKU names
-- reads: github_copilot.bill
select
  connection,
  nullif(regexp_extract(lower(sku), 'business|enterprise|standalone'), '') as plan,
  usage_date,
  if(min(price_per_unit) = max(price_per_unit), min(price_per_unit), null) as price,
  'USD' as currency,
  'github_copilot.billing_usage' as source
from github_copilot.bill
where charge = 'seats'
group by connection, plan, usage_date
