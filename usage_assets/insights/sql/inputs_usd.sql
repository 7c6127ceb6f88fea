-- the costs of one day that a scope consists of; $unit: a currency or credits of a budget, null: all dollars
-- reads: costs.allocated_costs_named
select *
from costs.allocated_costs_named
where usage_date = $day
  and case
    when $unit is null then cost_basis = 'billed' and amount_usd is not null
    when $unit = 'credits' then cost_basis = 'credits'
    else cost_basis = 'billed' and currency = $unit
  end
  and (
    $kind = 'all'
    or $id = case $kind
      when 'connection' then connection
      when 'provider' then provider
      when 'team' then team
      when 'project' then coalesce(project_id, workspace_id)
      when 'workspace' then workspace_id
      when 'user' then user_id
      when 'model' then model
      when 'person' then actor_id
      when 'api_key' then coalesce(api_key_id, api_key_name)
    end
  )
order by all
