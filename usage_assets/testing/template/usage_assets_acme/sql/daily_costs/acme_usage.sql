-- one row per connection, day, project and model; billed
select
  connection,
  'acme' as provider,
  usage_date,
  'acme.usage' as source_table,
  'billed' as cost_basis,
  sum(cost) as native_amount,
  'dollars' as native_unit,
  'USD' as currency,
  project_id,
  model,
  '' as grouped_by
from acme.usage
group by connection, usage_date, project_id, model
