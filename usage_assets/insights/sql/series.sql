-- what was billed or used per day, of everything together and of each thing that a series is made of; a scope without an id is
-- left out
-- reads: costs.allocated_costs_named, costs.usage, costs.names, accounting.owners
with parts as (
{rows})
select
  case
    when grouping(connection) = 0 then 'connection'
    when grouping(provider) = 0 then 'provider'
    when grouping(team) = 0 then 'team'
    when grouping(project) = 0 then 'project'
    when grouping(model) = 0 then 'model'
    when grouping(person) = 0 then 'person'
    when grouping(api_key) = 0 then 'api_key'
    else 'all'
  end as kind,
  coalesce(connection, provider, team, project, model, person, api_key, '') as id,
  case kind
    when 'project' then max(project_name)
    when 'person' then max(person_name)
    when 'api_key' then max(api_key_name)
    else id
  end as name,
  usage_date,
  array_agg(distinct parts.connection) as connections,
  sum({measure}) as amount
from parts
where {measure} is not null
group by grouping sets (
  (usage_date), (usage_date, connection), (usage_date, provider), (usage_date, team), (usage_date, project),
  (usage_date, model), (usage_date, person), (usage_date, api_key)
)
having kind = 'all' or id <> ''
