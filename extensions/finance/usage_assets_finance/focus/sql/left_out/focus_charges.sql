-- reads: focus.charges
select
  connection,
  usage_date,
  'focus' as provider,
  service_name as product,
  billing_currency as currency,
  sum(left_out_rows)::bigint as row_count,
  sum(billed_cost) as amount,
  if(count(effective_cost) = count(*), sum(effective_cost), null) as effective_amount,
  'a service that the connection does not take' as reason,
  false as is_unknown
from focus.charges
where left_out_rows is not null
group by connection, usage_date, service_name, billing_currency
