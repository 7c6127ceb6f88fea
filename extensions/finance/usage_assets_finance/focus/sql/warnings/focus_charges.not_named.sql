-- each charge names its service: others are taken or left out by what they say instead
-- says: {rows} charges of {amount} name no service
-- do: If they are of AI, take them: services = ["not named"], or by another column (extensions/finance/README.md)
-- shown: only
select
  connection,
  usage_date,
  billing_currency as unit,
  sum(coalesce(left_out_rows, 1))::bigint as rows,
  sum(billed_cost) as amount
from focus.charges
where service_name is null or service_name = 'not named'
group by connection, usage_date, billing_currency
