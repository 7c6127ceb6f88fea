-- one row per connection, day, source, cost basis, unit, currency, project, workspace, user and API key of {source}, with
-- what its rows add up to; of bills also per category and per what they state besides the billed cost
select
  connection,
  usage_date,
  provider,
  source_table,
  {cost_basis} as cost_basis,
  native_unit,
  currency,
  project_id,
  workspace_id,
  user_id,
  api_key_id,
  {api_key_name} as api_key_name,
{stated}  sum(native_amount) as native_amount,
  sum(amount_usd) as amount_usd,
  count(*) filter (where amount_usd is null) as rows_without_usd,
  count(*) filter (where amount_usd is null and native_amount <> 0) as rows_of_unknown_value
from {source}
group by all
