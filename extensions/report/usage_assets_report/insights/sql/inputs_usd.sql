-- the costs of some days that a scope consists of; $unit: USD (billed, valued in USD), another currency, or credits
-- reads: costs.counted_costs
select * exclude (counted_in)
from costs.counted_costs
where usage_date between $first and $last
  and counted_in = $unit
  and (
    $kind = 'all'
    or ($kind = 'model' and $id = family)
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
