-- what one scope used per day of one measure, with the columns of spent.sql, where dollars are
-- reads: costs.usage, costs.names, accounting.owners
with used as (
{rows})
select
  usage_date,
  connection,
  source_table,
  due_on,
  '' as scale,
  sum({measure}) as amount
from used
where {measure} is not null
  and (
    $kind = 'all'
    or ($kind = 'model' and $id = model_as_sent)
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
