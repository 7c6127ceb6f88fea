-- reads: focus.charges
select
  connection,
  'focus.charges' as table_name,
  usage_date,
  corrected_by as set_name,
  billing_currency as currency,
  sum(billed_cost) filter (where left_out_rows is null) as charged,
  sum(billed_cost) filter (where left_out_rows is not null) as left_out
from focus.charges
group by connection, usage_date, corrected_by, billing_currency
