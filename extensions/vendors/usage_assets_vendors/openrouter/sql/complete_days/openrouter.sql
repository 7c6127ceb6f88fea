select
  connection,
  usage_date,
  'openrouter' as provider,
  table_name as source,
  'billed' as cost_basis,
  table_name,
  slice
from stored
where table_name = 'openrouter.activity'
