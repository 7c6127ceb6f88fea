-- reads: github_copilot.bill
select
  connection,
  usage_date,
  'github_copilot' as provider,
  product || ', ' || sku as product,
  'USD' as currency,
  count(*) as row_count,
  sum(net_amount) as amount,
  if(charge = 'unknown', 'a product that is not known: it may be AI', 'no AI product') as reason,
  charge = 'unknown' as is_unknown
from github_copilot.bill
where charge in ('no AI', 'unknown')
group by connection, usage_date, product || ', ' || sku, charge
