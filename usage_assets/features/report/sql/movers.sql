-- title: Top movers
-- short: day, provider, usd_change
-- note: A day against the same weekday a week before, and the model and project that explain most of the difference. A provider
--   of which a currency has a rate on some of the days only is left out.
-- explain: --table costs.by_day --day {day} --where provider={provider} --where cost_basis=billed --column amount_usd
with
billed as (
{billed}
),
firsts as (
  select provider, min(usage_date) as first_day
  from costs.daily_costs
  where cost_basis = 'billed'
  group by all
),
partly_valued as (
  select provider
  from costs.daily_costs
  where cost_basis = 'billed' and native_amount <> 0 and usage_date between $first::date - 7 and $last
  group by provider, connection, currency
  having bool_or(amount_usd is null) and bool_or(amount_usd is not null)
),
days as (
  select usage_date, provider, coalesce(model, 'no model') as model, project.name as project, dollars
  from billed
  union all
  select usage_date + 7, provider, coalesce(model, 'no model') as model, project.name as project, -dollars
  from billed
  where usage_date + 7 <= $last
),
parts as (
  select usage_date, provider, model, project, sum(dollars) as change
  from days
  join firsts using (provider)
  where usage_date >= $first and usage_date >= first_day + 7 and provider not in (from partly_valued)
  group by all
),
whole as (
  select
    usage_date as day,
    provider,
    sum(change) as usd_change,
    if(usd_change > 0, max(change), min(change)) as usd_of_driver,
    if(usd_change > 0, max_by(model, change), min_by(model, change)) as model,
    if(usd_change > 0, max_by(project, change), min_by(project, change)) as project
  from parts
  group by all
)
select day, provider, usd_change, model, project, usd_of_driver
from whole
where usd_change <> 0
order by abs(usd_change) desc, day, provider
limit 8
