-- what was billed, valued in USD, with every dimension of the report. What is not called by its id has
-- both here, and so has a null. of_provider is for explain
select
  costs.usage_date,
  costs.connection,
  coalesce(seller, costs.provider) as provider,
  coalesce(command, ['--where', 'provider=' || costs.provider]) as of_provider,
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
  usage_family as usage_type,
  {
    'id': coalesce(costs.api_key_id, costs.api_key_name),
    'name': coalesce(api_key_display_name, 'no API key')
  } as api_key,
{priced_as} as price_id,
  {told_apart} as told_apart,
  costs.currency,
{charge_kind} as kind,
  native_amount,
  amount_usd as dollars
from (
{of_people}
) as costs
left join models.usage_families as families
  on families.provider = costs.provider
  and families.usage_type is not distinct from costs.usage_type
left join accounting.providers as providers on providers.provider = costs.provider
left join (
{sellers}
) as sellers on sellers.connection = costs.connection and sellers.provider = costs.provider
where counted_in = 'USD' and costs.usage_date between $before_first and $last
