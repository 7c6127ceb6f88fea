-- what was billed, or used, per day and combination of odd scopes; null: of no odd scope of that kind. $kinds and $ids: the
-- odd scopes; $days: the odd days and those they are compared with. Reads kept.sql
with
odd as (
  select
    unnest($kinds) as kind,
    unnest($ids) as id
)
select
  usage_date,
  if(connection in (select id from odd where kind = 'connection'), connection, null) as connection,
  if(provider in (select id from odd where kind = 'provider'), provider, null) as provider,
  if(team in (select id from odd where kind = 'team'), team, null) as team,
  if(project in (select id from odd where kind = 'project'), project, null) as project,
  if(model in (select id from odd where kind = 'model'), model, null) as model,
  if(person in (select id from odd where kind = 'person'), person, null) as person,
  if(api_key in (select id from odd where kind = 'api_key'), api_key, null) as api_key,
  sum({measure}) as amount
from temp.main.{kept}
where {measure} is not null and usage_date in (select unnest($days::date[]))
group by all
order by all
