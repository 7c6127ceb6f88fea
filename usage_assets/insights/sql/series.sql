-- what was billed or used per day, of everything together and of the largest of each kind that a series is made of
-- reads: costs.allocated_costs_named, costs.usage, costs.names, accounting.owners
with
parts as not materialized (
{rows}),
sums as (
  select
    case
      when grouping(connection) = 0 then 'connection'
      when grouping(provider) = 0 then 'provider'
      when grouping(team) = 0 then 'team'
      when grouping(project) = 0 then 'project'
      when grouping(model) = 0 then 'model'
      when grouping(person) = 0 then 'person'
      else 'api_key'
    end as kind,
    coalesce(connection, provider, team, project, model, person, api_key) as id,
    sum({measure}) as recent
  from parts
  where usage_date >= $recent
  group by grouping sets ((connection), (provider), (team), (project), (model), (person), (api_key))
),
largest as (
  select kind, id
  from sums
  where recent <> 0 and id <> ''
  qualify row_number() over (partition by kind order by recent desc, id) <= $most
),
watched as (
  select
    usage_date,
    connection,
    if(connection in (select id from largest where kind = 'connection'), connection, null) as of_connection,
    if(provider in (select id from largest where kind = 'provider'), provider, null) as provider,
    if(team in (select id from largest where kind = 'team'), team, null) as team,
    if(project in (select id from largest where kind = 'project'), project, null) as project,
    if(model in (select id from largest where kind = 'model'), model, null) as model,
    if(person in (select id from largest where kind = 'person'), person, null) as person,
    if(api_key in (select id from largest where kind = 'api_key'), api_key, null) as api_key,
    project_name,
    person_name,
    api_key_name,
    {measure}
  from parts
  where {measure} is not null
)
select
  case
    when grouping(of_connection) = 0 then 'connection'
    when grouping(provider) = 0 then 'provider'
    when grouping(team) = 0 then 'team'
    when grouping(project) = 0 then 'project'
    when grouping(model) = 0 then 'model'
    when grouping(person) = 0 then 'person'
    when grouping(api_key) = 0 then 'api_key'
    else 'all'
  end as kind,
  coalesce(of_connection, provider, team, project, model, person, api_key, '') as id,
  case kind
    when 'project' then max(project_name)
    when 'person' then max(person_name)
    when 'api_key' then max(api_key_name)
    else id
  end as name,
  usage_date,
  array_agg(distinct watched.connection) as connections,
  sum({measure}) as amount
from watched
group by grouping sets (
  (usage_date), (usage_date, of_connection), (usage_date, provider), (usage_date, team), (usage_date, project),
  (usage_date, model), (usage_date, person), (usage_date, api_key)
)
having kind = 'all' or id <> ''
