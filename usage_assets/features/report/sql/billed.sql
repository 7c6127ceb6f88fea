-- what was billed, valued in USD, with every dimension of the report. Other queries of costs read this. What is not called by its id has
-- both here, and so has a null
select
  usage_date,
  costs.connection,
  costs.provider,
  team,
  cost_center,
  {
    'id': if(actor_kind = 'person', person_id, null),
    'name': if(actor_kind = 'person', person_name, 'no person')
  } as person,
  person_id is not null as is_attributed,
  {
    'id': coalesce(costs.project_id, costs.workspace_id),
    'name': coalesce(project_name, workspace_name, providers.default_sub_account, 'no project or workspace')
  } as project,
  costs.project_id is not null as is_project,
  family as model,
  usage_type,
  {
    'id': coalesce(costs.api_key_id, costs.api_key_name),
    'name': coalesce(api_key_display_name, 'no API key')
  } as api_key,
{price_id} as price_id,
  costs.currency,
  case
    when lower(charge_category) in ('tax', 'credit', 'adjustment') or charge_category = 'Purchase' and native_amount < 0 then 'other'
    when charge_frequency = 'Recurring' or charge_category = 'Purchase' then 'seats'
    else 'usage'
  end as kind,
  native_amount,
  amount_usd as dollars
from (
{of_people}
) as costs
left join accounting.providers as providers on providers.provider = costs.provider
where counted_in = 'USD' and usage_date between $before_first and $last
