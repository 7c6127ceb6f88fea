-- one row per day and everything that a statement shows of a cost: what was billed, and the first [[shared_cost]] that covers it.
-- Every cost is here once: costs.allocated_costs_named has each bill or its parts
with
costs as (
  select
    usage_date,
    costs.connection,
    costs.provider,
    costs.team,
    costs.cost_center,
    costs.project_id,
    costs.workspace_id,
    coalesce(costs.api_key_id, costs.api_key_name) as api_key,
    coalesce(project_name, workspace_name) as project,
    if(actor_kind = 'unknown', null, person_name) as person,
    names.family as model,
    coalesce(currency, 'XXX') as currency,
    native_unit,
    sum(native_amount) as amount
  from (
{of_people}
  ) as costs
  left join models.names_in_costs as names
    on names.provider = costs.provider
    and names.model = costs.model
  where cost_basis = 'billed' and usage_date between $first and $last
  group by all
)
select costs.*, shared_by
from costs
left join (
  select distinct usage_date, connection, team, project_id, workspace_id, api_key, shared_by
  from costs.billed_to_share
  where shared_by is not null
) as shares
  on cost_center is null
  and shares.usage_date = costs.usage_date
  and shares.connection = costs.connection
  and shares.team is not distinct from costs.team
  and shares.project_id is not distinct from costs.project_id
  and shares.workspace_id is not distinct from costs.workspace_id
  and shares.api_key is not distinct from costs.api_key
where amount <> 0
