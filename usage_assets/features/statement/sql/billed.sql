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
select
  *,
  (
    select min(position)
    from accounting.shared_costs as entries
    where costs.cost_center is null
      and costs.usage_date between entries.valid_from and coalesce(entries.valid_until, date '9999-12-31')
      and case entries.scope_type
        when 'all' then true
        when 'connection' then entries.scope_id = costs.connection
        when 'team' then entries.scope_id = costs.team
        when 'project' then entries.scope_id = costs.project_id
        when 'workspace' then entries.scope_id = costs.workspace_id
        when 'api_key' then entries.scope_id = costs.api_key
      end
  ) as shared_by
from costs
where amount <> 0
