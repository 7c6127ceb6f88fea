-- one row per connection, source and day on which it is due again, of each connection and of the largest scopes of each other kind:
-- its days, and what was billed or used on them. Everything together is the sum of its connections. Reads kept.sql
with
sums as (
  select
    case
      when grouping(provider) = 0 then 'provider'
      when grouping(team) = 0 then 'team'
      when grouping(project) = 0 then 'project'
      when grouping(model) = 0 then 'model'
      when grouping(person) = 0 then 'person'
      else 'api_key'
    end as kind,
    coalesce(provider, team, project, model, person, api_key) as id,
    sum({measure}) as recent
  from temp.main.{kept}
  where usage_date >= $recent
  group by grouping sets ((provider), (team), (project), (model), (person), (api_key))
),
largest as (
  select kind, id
  from sums
  where recent <> 0 and id <> ''
  qualify row_number() over (partition by kind order by recent desc, id) <= $most
),
-- grouped here, too: what is of no largest scope becomes a few rows, and the seven groupings below take half as long
watched as (
  select
    usage_date,
    connection,
    source_table,
    due_on,
    if(provider in (select id from largest where kind = 'provider'), provider, null) as provider,
    if(team in (select id from largest where kind = 'team'), team, null) as team,
    if(project in (select id from largest where kind = 'project'), project, null) as project,
    if(model in (select id from largest where kind = 'model'), model, null) as model,
    if(person in (select id from largest where kind = 'person'), person, null) as person,
    if(api_key in (select id from largest where kind = 'api_key'), api_key, null) as api_key,
    max(project_name) as project_name,
    max(person_name) as person_name,
    max(api_key_name) as api_key_name,
    sum({measure}) as {measure}
  from temp.main.{kept}
  where {measure} is not null
  group by all
),
days as (
  select
    case
      when grouping(provider) = 0 then 'provider'
      when grouping(team) = 0 then 'team'
      when grouping(project) = 0 then 'project'
      when grouping(model) = 0 then 'model'
      when grouping(person) = 0 then 'person'
      when grouping(api_key) = 0 then 'api_key'
      else 'connection'
    end as kind,
    if(kind = 'connection', connection, coalesce(provider, team, project, model, person, api_key, '')) as id,
    case kind
      when 'project' then max(project_name)
      when 'person' then max(person_name)
      when 'api_key' then max(api_key_name)
      else id
    end as name,
    usage_date,
    connection,
    source_table,
    due_on,
    sum({measure}) as amount
  from watched
  group by
    usage_date,
    connection,
    source_table,
    due_on,
    grouping sets ((), (provider), (team), (project), (model), (person), (api_key))
  having id <> ''
)
select
  kind,
  id,
  name,
  connection,
  source_table,
  due_on,
  list(usage_date order by usage_date) as days,
  list(amount order by usage_date) as amounts
from days
group by all
