-- reads: github_copilot.bill, github_copilot.metered
select
  connection,
  usage_date,
  'github_copilot' as provider,
  product || ', ' || sku as product,
  'USD' as currency,
  count(*) as row_count,
  sum(net_amount) as amount,
  case charge
    when 'unknown' then 'a product that is not known: it may be AI'
    when 'metered' then 'metered use, of which no report by model is stored'
    else 'no AI product'
  end as reason,
  charge = 'unknown' as is_unknown
from github_copilot.bill
left join (
  select distinct connection, usage_date, unit, true as is_billed
  from github_copilot.metered
  where is_counted
) using (connection, usage_date, unit)
where charge in ('no AI', 'unknown') or (charge = 'metered' and is_billed is null)
group by connection, usage_date, product || ', ' || sku, charge
