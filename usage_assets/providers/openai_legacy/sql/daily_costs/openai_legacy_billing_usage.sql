-- one row per connection, day and named line, also one that costs nothing; billed
select
  connection,
  'openai_legacy' as provider,
  usage_date,
  'openai_legacy.billing_usage' as source_table,
  'billed' as cost_basis,
  cost_cents as native_amount,
  'cents' as native_unit,
  'USD' as currency,
  name as line_item,
  '' as grouped_by
from openai_legacy.billing_usage
where name is not null
