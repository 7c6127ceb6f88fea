-- one row per connection, day, model and API key, and one for what of the total no model explains: use without a model (MCP tools), or
-- what the proxy adds up otherwise. Estimated, never billed: the providers behind the proxy bill the same use
select
  connection,
  'litellm' as provider,
  usage_date,
  'litellm.user_activity' as source_table,
  'estimated' as cost_basis,
  spend as native_amount,
  'dollars' as native_unit,
  'USD' as currency,
  model,
  api_key as api_key_id,
  '' as grouped_by
from litellm.user_activity
where cut = 'model'
union all by name
select
  connection,
  'litellm' as provider,
  usage_date,
  'litellm.user_activity' as source_table,
  'estimated' as cost_basis,
  sum(if(cut = 'total', spend, -spend)) as native_amount,
  'dollars' as native_unit,
  'USD' as currency,
  '' as grouped_by
from litellm.user_activity
where cut in ('total', 'model')
group by connection, usage_date
having native_amount <> 0 and bool_or(cut = 'total')
