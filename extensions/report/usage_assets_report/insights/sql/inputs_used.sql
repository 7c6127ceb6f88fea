-- the ids of what a scope used on one day: what identifies a row of costs.usage
-- reads: costs.usage, costs.names, accounting.owners
with used as (
{rows})
select distinct connection, usage_date, provider, model_as_sent as model, project_id, workspace_id, user_id, api_key as api_key_id
from used
where {measure} is not null
  and (
    $kind = 'all'
    or ($kind = 'model' and $id = model_as_sent)
    or $id = case $kind
      when 'connection' then connection
      when 'provider' then provider
      when 'team' then team
      when 'project' then project
      when 'workspace' then workspace_id
      when 'user' then user_id
      when 'model' then model
      when 'person' then person
      when 'api_key' then api_key
    end
  )
order by all
