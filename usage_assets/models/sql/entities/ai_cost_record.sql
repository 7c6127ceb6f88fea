-- one row per connection, day, cost basis, unit, currency, project or workspace, and model; where no model is stated,
-- what the line item names first stands for it ("gpt-5, input"); what has no project, workspace or model has a name that says so
with costs as (
  select
    * replace (coalesce(model, nullif(split_part(line_item, ', ', 1), '')) as model),
    coalesce(project_id, workspace_id) as scope_id,
    coalesce(project_name, workspace_name, default_sub_account, 'no project or workspace') as scope_name
  from costs.daily_costs_named
  join accounting.providers using (provider)
)
select
  connection,
  usage_date,
  path_identifier([
    connection,
    cost_basis || case when cost_basis = 'credits' or currency = 'USD' then '' else '-' || coalesce(currency, '') end,
    scope_id,
    coalesce(costs.model, 'unknown'),
    usage_date::varchar
  ]) as identifier,
  concat_ws(' - ', company, scope_name, coalesce(costs.model, 'no model'), usage_date) as title,
  usage_date || 'T00:00:00Z' as record_date,
  provider,
  cost_basis,
  scope_id,
  scope_name,
  coalesce(costs.model, 'no model') as model,
  sum(native_amount) as native_amount,
  native_unit,
  currency,
  sum(amount_usd) as amount_usd
from costs
group by
  connection,
  usage_date,
  provider,
  company,
  cost_basis,
  native_unit,
  currency,
  scope_id,
  scope_name,
  costs.model
