-- title: Top movers
-- short: {day}, {provider}: {usd_change} against a week before
-- note: A day against the same weekday a week before, and the model and project that explain most of the difference. Of a connection
--   of which one of the two days is not known, neither is compared.
-- explain: --table costs.by_day --day {day} {of_provider} --where cost_basis=billed --column amount_usd
with
billed as (
{billed}
),
days as (
  select
    billed.usage_date + if(is_now, 0, 7) as usage_date,
    provider,
    of_provider,
    coalesce(model, 'no model') as model,
    project.name as project,
    if(is_now, dollars, -dollars) as dollars
  from billed
  join costs.compared_days($first, $last, $first::date - 7, $last::date - 7) as compared
    on compared.connection = billed.connection
    and compared.currency = billed.currency
    and compared.usage_date = billed.usage_date
    and compared.is_valued
  -- of a period of few days, the week before is not read
  where compared.comparison is null and billed.usage_date - if(is_now, 7, 0) >= $before_first
),
parts as (
  select usage_date, provider, of_provider, model, project, sum(dollars) as change
  from days
  group by all
),
whole as (
  select
    usage_date as day,
    provider,
    of_provider,
    sum(change) as usd_change,
    if(usd_change > 0, max(change), min(change)) as usd_of_driver,
    if(usd_change > 0, max_by(model, change), min_by(model, change)) as model,
    if(usd_change > 0, max_by(project, change), min_by(project, change)) as project
  from parts
  group by all
)
select
  day,
  provider,
  of_provider,  -- for explain
  usd_change,
  model,
  project,
  usd_of_driver
from whole
where usd_change <> 0
order by abs(usd_change) desc, day, provider
limit 8
