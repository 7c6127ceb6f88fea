-- one row per connection, day, cost basis, unit, currency, project or workspace, and model; where no model is stated,
-- what the line item names first stands for it ("gpt-5, input"); names are those last listed, or the ids; what has no
-- project, workspace or model has a name that says so
with costs as (
  select
    * exclude (model),
    coalesce(project_id, workspace_id) as scope_id,
    coalesce(model, nullif(split_part(line_item, ', ', 1), '')) as model
  from costs.daily_costs
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
  concat_ws(
    ' - ',
    company,
    coalesce(max(name), scope_id, default_sub_account, 'no project or workspace'),
    coalesce(costs.model, 'no model'),
    usage_date
  ) as title,
  usage_date || 'T00:00:00Z' as record_date,
  provider,
  cost_basis,
  scope_id,
  coalesce(max(name), scope_id, default_sub_account, 'no project or workspace') as scope_name,
  coalesce(costs.model, 'no model') as model,
  sum(native_amount) as native_amount,
  native_unit,
  currency,
  sum(amount_usd) as amount_usd
from costs
join accounting.providers using (provider)
left join (select connection, id as scope_id, name from last_listed(['openai.projects', 'anthropic.workspaces'])) as names
  using (connection, scope_id)
group by
  connection,
  usage_date,
  provider,
  company,
  default_sub_account,
  cost_basis,
  native_unit,
  currency,
  scope_id,
  costs.model
