-- title: Spend without an owner
-- short: {source}: {usd} billed, {setting}
-- note: What no [[owner]] of the connections file gives to a team, the largest sources first, with the entry that does. What names no
--   project, workspace, key or person can only be shared between cost centers.
-- explain: --table costs.allocated_costs_named {days} --team unowned {of_source} --connection {connection} --where cost_basis=billed
--   --column amount_usd
with
billed as (
{billed}
),
sources as (
  select
    connection,
    project.id as id,
    any_value(project.name) as name,
    if(is_project, 'project', 'workspace') as place,
    count(distinct person.id) as people,
    count(distinct api_key.id) as keys,
    if(
      id is null,
      ['--where', 'project_id=', '--where', 'workspace_id='],
      ['--' || place, id]
    ) as of_source,
    coalesce(sum(dollars) filter (where person.id is not null), 0) as usd_of_people,
    coalesce(sum(dollars) filter (where api_key.id is not null), 0) as usd_of_keys,
    sum(dollars) as usd
  from billed
  where team = 'unowned' and usage_date >= $first
  group by all
)
select
  if(id is null, connection, name || ' (' || connection || ')') as source,
  connection,
  of_source,  -- for explain
  usd,
  case
    when id is not null then '[[owner]] ' || place || ' = "' || id || '"'
    when people > 0 then '[[owner]] user, for each person' || if(usd_of_people = usd, '', format(' ({:,.2f} USD of it)', usd_of_people::double))
    when keys > 0 then '[[owner]] api_key, for each key' || if(usd_of_keys = usd, '', format(' ({:,.2f} USD of it)', usd_of_keys::double))
    else '[[shared_cost]] connection = "' || connection || '"'
  end as setting
from sources
where usd <> 0
order by usd desc, source, id
limit 50
