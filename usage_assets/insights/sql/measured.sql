-- what one scope used per day of one measure; dollars are in spent.sql
-- reads: costs.usage, costs.names, accounting.owners
with used as (
{rows})
select usage_date, sum({measure}) as value
from used
where {measure} is not null
  and (
    $kind = 'all'
    or $id = case $kind
      when 'connection' then connection
      when 'team' then team
      when 'project' then project_id
      when 'workspace' then workspace_id
      when 'user' then user_id
      when 'model' then model
      when 'api_key' then api_key
    end
  )
group by all
order by all
